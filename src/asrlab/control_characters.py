r"""Characters that act on a terminal or reorder what a reader sees, written as visible escapes.

A transcript, a file name or a plugin's message may come from a stranger. Printed raw, an escape sequence in it can set
a window's title, fill the clipboard or hide the rest of the line; a direction override can make one text look like
another. `escape_controls` writes such characters as ``\x1b`` and ``\u202e``; letters of every script, and the marks
U+200E, U+200F and U+061C that right-to-left text needs, stay as they are.
"""

from __future__ import annotations

import re

# C0 without tab and line feed, DEL and C1; direction embeddings, overrides and isolates; lone surrogates, which no
# encoding can write. Source: Unicode Standard Annex #9, section 2, "Directional Formatting Characters".
_ALWAYS = r"\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_UNSAFE = re.compile(f"[{_ALWAYS}]")
_UNSAFE_OR_BREAK = re.compile(f"[{_ALWAYS}\n\t]")
_ESCAPE = r"\\(?:x(0[0-9a-f]|1[0-9a-f]|7f|8[0-9a-f]|9[0-9a-f]|5c)|u(202[a-e]|206[6-9]|d[89a-f][0-9a-f]{2}))"
_ESCAPED = re.compile(_ESCAPE)
_LOOKS_ESCAPED = re.compile(rf"(?={_ESCAPE})\\")


def escape_controls(text: str, *, one_line: bool = False, reversible: bool = False) -> str:
    r"""Return *text* with each unsafe character as its escape, such as ``\x1b``.

    Args:
        text: The text.
        one_line: Escape tabs and line feeds, too, so that a name cannot begin a line of its own.
        reversible: Write a backslash that begins what looks like an escape already as ``\x5c``, so that
            `unescape_controls` gives *text* again.
    """
    if reversible and "\\" in text:
        text = _LOOKS_ESCAPED.sub(lambda _: "\\x5c", text)
    return (_UNSAFE_OR_BREAK if one_line else _UNSAFE).sub(_escape, text)


def unescape_controls(text: str) -> str:
    """Return the text that `escape_controls` was given with *reversible*."""
    return _ESCAPED.sub(lambda found: chr(int(found[1] or found[2], 16)), text) if "\\" in text else text


def escape_json(document: str) -> str:
    r"""Return a JSON document with each unsafe character in its strings as ``\u009b``; its value stays the same.

    Outside of strings JSON has none of these characters but line feeds and tabs, which are kept.
    """
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", document)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
