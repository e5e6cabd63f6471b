"""
Texts of records as the app may show them: never as markup.

Streamlit reads most of its texts as Markdown, with directives, emoji codes, formulas and links of
its own. Names in a record were written by others.
"""

import re
from collections.abc import Iterable

from analysis.words import plain

_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
# Links and codes are recognised after escapes are resolved, so they are broken up by a character
# that has no width (WORD JOINER).
_JOINER = "\u2060"
_RECOGNISED = re.compile(r"(:(?=\S)|www(?=\.)|(?<=\S)(?=@))", re.IGNORECASE)


def escaped(text: object) -> str:
    """One line that Markdown shows as it is: no markup, no link, no emoji, no formula."""
    line = plain(" ".join(str(text).split()))
    return _PUNCTUATION.sub(r"\\\1", _RECOGNISED.sub(rf"\1{_JOINER}", line))


def said(sentence: object) -> str:
    """The same of our own sentences: what they put between backticks (a command) is code."""
    parts = str(sentence).split("`")
    if len(parts) % 2 == 0:
        return escaped(sentence)
    codes = (
        f"`{plain(' '.join(code.split()))}`" if code.strip() else escaped(code)
        for code in parts[1::2]
    )
    texts = [_kept_apart(part) for part in parts[::2]]
    return "".join(text + code for text, code in zip(texts, [*codes, ""], strict=True))


def _kept_apart(part: str) -> str:
    """Escaped, with the blanks at its ends, which part it from the code beside it."""
    before, after = part[: len(part) - len(part.lstrip())], part[len(part.rstrip()) :]
    return f"{' ' if before else ''}{escaped(part)}{' ' if after and part.strip() else ''}"


def bullets(sentences: Iterable[object]) -> str:
    """A list, one line a sentence."""
    return "\n".join(f"- {said(sentence)}" for sentence in sentences)
