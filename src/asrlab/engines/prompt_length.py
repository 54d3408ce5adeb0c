"""Refuse texts given to Whisper that are too long for it, which its packages shorten in silence or fail at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import attrs

from asrlab.errors import OptionError
from asrlab.options import TextToShorten

__all__ = ["MIN_TEXT_TOKENS", "TokenBudget", "refuse_long_texts"]

MIN_TEXT_TOKENS = 100
"""What must remain for the text of a window: 30 s of fast speech with its time stamps."""


@attrs.frozen(kw_only=True)
class TokenBudget:
    """How many tokens a model has for one window.

    Attributes:
        context: All of them: 448 in every Whisper.
        special: Those that the model itself puts between the given texts and the text of the window.
        new_tokens: The option that limits the text of a window, and its value; None where it is not given.
    """

    context: int
    special: int
    new_tokens: tuple[str, int | None]

    @property
    def longest(self) -> int:
        """The most tokens of one given text: less than half of the context, where upstream cuts."""
        return self.context // 2 - 1


def refuse_long_texts(
    texts: Mapping[str, str | Sequence[int] | None],
    *,
    encode: Callable[[str], Sequence[int]],
    budget: TokenBudget,
    model: str,
) -> None:
    """Refuse *texts* of which one is too long for the model, or which together leave no room for what is heard.

    Args:
        texts: What was given, by the name of its option: text or tokens. A `TextToShorten` is left to upstream.
        encode: Gives the tokens of a text as upstream puts it before the window's.
        budget: The room that there is.
        model: The model's name, for messages.

    Raises:
        OptionError: Naming the option, how many tokens were given and how many there may be.
    """
    counts = {
        option: len(encode(f" {text.strip()}") if isinstance(text, str) else text)
        for option, text in texts.items()
        if text and not isinstance(text, TextToShorten)
    }
    for option, count in counts.items():
        if count > budget.longest:
            raise OptionError(
                f"{option} has {count} tokens; {model} takes {budget.longest} at most: shorten it to about "
                f"{budget.longest / count:.0%} of its length",
                option=option,
            )
    name, limit = budget.new_tokens
    wanted = MIN_TEXT_TOKENS if limit is None else limit
    if sum(counts.values()) + budget.special + wanted <= budget.context:
        return
    named = [f"{option} ({count} tokens)" for option, count in counts.items()]
    if limit is None:
        needs = f"the {wanted} that the text of a window needs"
        cure = "shorten them" if len(named) > 1 else "shorten it"
    else:
        needs = f"{name}={limit}"
        cure = f"lower {name}" + (" or shorten the rest" if named else "")
    raise OptionError(
        f"{' and '.join([*named, needs])} do not fit together: {model} has {budget.context} tokens for a window, "
        f"{budget.special} of them its own; {cure}",
        option=next(iter(counts), name) if limit is None else name,
    )
