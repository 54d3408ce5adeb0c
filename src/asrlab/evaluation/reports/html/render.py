"""From the report's parts to one file: every text is escaped in one place, and only our own script may run."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from asrlab.control_characters import escape_controls
from asrlab.evaluation.metrics import describe_normalizers

if TYPE_CHECKING:
    import jinja2


_NOTHING = "\N{EN DASH}"


def render_page(**parts: Any) -> bytes:
    """The page as UTF-8. Control characters, and what has no place in UTF-8, are written as their escapes."""
    from markupsafe import Markup

    style, script = _asset("report.css"), _asset("report.js")
    page = _environment().get_template("report.html.j2")
    # ours, and without any template in them: they must stay as they were hashed
    ready = {"style": Markup(style), "script": Markup(script)}  # noqa: S704
    text = page.render(policy=policy(style=style, script=script), **ready, **parts)
    return text.encode("utf-8", "backslashreplace")


def policy(*, style: str, script: str) -> str:
    """The content security policy: nothing is fetched, and only these two run."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src '{_hash(script)}'",
            f"style-src '{_hash(style)}'",
            "img-src data:",
            "media-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def system_label(place: int) -> str:
    """The short name of a system by its place from 0: A to Z, then numbers."""
    return chr(ord("A") + place) if place < 26 else str(place + 1)


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}"


def _asset(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")


@cache
def _environment() -> jinja2.Environment:
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.PackageLoader(__package__, "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "percent": _percent,
        "seconds": _seconds,
        "letter": system_label,
        "clock": _clock,
        "normalizers": describe_normalizers,
    }
    return made


def _visible(value: Any) -> Any:
    """What a template prints: texts without characters that act on a reader's screen; markup is ours."""
    from markupsafe import Markup

    return escape_controls(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _percent(rate: float | None, digits: int = 2) -> str:
    return _NOTHING if rate is None else f"{100 * rate:.{digits}f} %"


def _seconds(value: float | None) -> str:
    if value is None:
        return _NOTHING
    return f"{1000 * value:.1f} ms" if value < 0.1 else f"{value:.2f} s"


def _clock(seconds: float) -> str:
    """A duration as people say it."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"
