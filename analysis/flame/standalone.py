"""
A flame document as one HTML file that needs nothing else, and as the parts the app shows it with.

The file asks nothing of any network: its policy allows only the one style and the one script that
are in it. Names come from a profile and are text wherever they appear.
"""

import json
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from analysis.flame import functions
from analysis.flame.because import Link, Sentence
from analysis.flame.graph import SHARE
from analysis.words import number, plain

FOLDER = Path(__file__).with_name("renderer")
# One module, in this order.
SCRIPTS = ("frames.js", "paint.js", "parts.js", "words.js", "picture.js", "flame.js")
SPECIAL = re.compile(r"[.*+?^${}()|[\]\\]")  # in a regular expression of JavaScript


def html(document: Mapping[str, Any], because: Sequence[str] = ()) -> str:
    """The page of what `graph.document` made; *because* are sentences to stand above it."""
    # What lies around the flamegraph is drawn by the page's own style and script as well.
    style = _read("page.css") + css()
    script = javascript() + _read("page.js")
    return _template().render(
        title=document["title"],
        sides=[{"name": name, "total": total} for name, total in totals(document)],
        unit=functions.unit(document),
        change=change(document),
        because=[_pieces(sentence) for sentence in because],
        doubts=document["doubts"],
        note=note(document),
        table=_table(document),
        document=Markup(_json(document)),
        style=Markup(style),
        script=Markup(script),
        style_hash=Markup(_hash(style)),
        script_hash=Markup(_hash(script)),
    )


@cache
def javascript() -> str:
    """The flamegraph as one ES module; its default export mounts it into `.flame`."""
    return "\n".join(map(_read, SCRIPTS))


@cache
def css() -> str:
    return _read("flame.css")


def totals(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Each side with what all of it costs; where costs are not known, with its samples."""
    if document["unit"] == SHARE:
        found = [f"{samples:,} samples" for samples in document["samples"]]
    else:
        found = [number(total) for total in document["totals"]]
    return list(zip(document["sides"], found, strict=True))


def change(document: Mapping[str, Any]) -> str:
    """The difference of the wholes, in words; empty for one profile, or for shares."""
    if len(document["sides"]) < 2 or document["unit"] == SHARE:
        return ""
    if not document["differs"]:
        return "no difference beyond the noise"
    found = functions.difference(document["totals"])
    return f"a difference of {functions.signed(found, document['unit'])}"


def note(document: Mapping[str, Any]) -> str:
    """What is grey, and what is not drawn."""
    left_out = document["left_out"]
    rare = (
        f"{left_out:,} frame{'s' if left_out > 1 else ''} below 0.05% of each profile"
        f" {'are' if left_out > 1 else 'is'} left out."
        if left_out
        else ""
    )
    return " ".join(filter(None, [document["noise"], rare]))


def pattern(name: str, file: str) -> str:
    """
    What the flamegraph's search finds a function by; without a name, the functions of a package.

    It is matched with `name (file)`, as the script writes a frame.
    """
    if name:
        return f"^{_literal(f'{name} ({file})' if file else name)}$"
    return rf"\({_literal(file)}(/.*)?\)$|^{_literal(file)}$"


def _literal(text: str) -> str:
    return SPECIAL.sub(r"\\\g<0>", text)


def _pieces(sentence: str) -> list[tuple[str, str]]:
    """Its texts, each with the pattern that finds what it names, or with none."""
    parts = sentence.parts if isinstance(sentence, Sentence) else (plain(sentence),)
    return [
        (part.text, pattern(part.name, part.file)) if isinstance(part, Link) else (part, "")
        for part in parts
    ]


def _table(document: Mapping[str, Any]) -> dict[str, Any]:
    """The functions as texts, each row with the pattern that finds its function."""
    table = functions.texts(document)
    rows = [(pattern(name, file), (name, file, *rest)) for name, file, *rest in table.rows]
    return {"caption": table.caption, "head": list(table.columns), "rows": rows}


def _json(document: Mapping[str, Any]) -> str:
    """Nothing in it can end the element that it stands in."""
    return json.dumps(document, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("page.html")
