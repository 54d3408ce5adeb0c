r"""Visible escapes for characters that act on a terminal or reorder text.

A transcript, a file name or a plugin's message may come from an untrusted source. If it is printed raw, an escape
sequence in it can set a window's title, fill the clipboard or hide the rest of the line; a direction override can make
a text look like another. `escape_controls` writes such characters as ``\x1b`` and ``\u202e``. Letters of every script,
and the marks U+200E, U+200F and U+061C that right-to-left text needs, stay unchanged.
"""

from __future__ import annotations

import re

# Only the first pattern is compiled on import, since `asrlab --help` needs it.
# C0 without tab and line feed, DEL and C1; direction embeddings, overrides and isolates; lone surrogates, which no
# encoding can write. Source: Unicode Standard Annex #9, section 2, "Directional Formatting Characters".
_UNSAFE_CHARACTERS = r"\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_UNSAFE = re.compile(f"[{_UNSAFE_CHARACTERS}]")
_ESCAPE = r"\\(?:x(0[0-9a-f]|1[0-9a-f]|7f|8[0-9a-f]|9[0-9a-f]|5c)|u(202[a-e]|206[6-9]|d[89a-f][0-9a-f]{2}))"


def escape_controls(text: str, *, one_line: bool = False, reversible: bool = False) -> str:
    r"""Return *text* with each unsafe character as its escape, such as ``\x1b``.

    Args:
        text: The text.
        one_line: Escape tabs and line feeds, too, so that a name cannot start a new line.
        reversible: Escape a backslash that starts an apparent escape as ``\x5c``, so that `unescape_controls` restores
            *text*.
    """
    if reversible and "\\" in text:
        text = re.sub(rf"(?={_ESCAPE})\\", lambda _: "\\x5c", text)
    return re.sub(f"[{_UNSAFE_CHARACTERS}\n\t]", _escape, text) if one_line else _UNSAFE.sub(_escape, text)


def unescape_controls(text: str) -> str:
    """Return the text that `escape_controls` escaped with *reversible*."""
    return re.sub(_ESCAPE, lambda match: chr(int(match[1] or match[2], 16)), text) if "\\" in text else text


def escape_json(document: str) -> str:
    r"""Return a JSON document with each unsafe character in its strings as ``\u009b``; its value stays the same.

    Outside of strings, JSON has only line feeds and tabs among these characters, which stay unchanged.
    """
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", document)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
