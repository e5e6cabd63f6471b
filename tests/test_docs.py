"""What the documents say can be done can be done, and what they show was measured."""

import json
import re
import shlex
from collections import Counter
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

import windtunnel
from analysis import markdown
from analysis.comparison import compare
from analysis.plan import PERCENTILES
from benchmarks.record import load

ROOT = Path(__file__).parent.parent
READMES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("*/README.md"))]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))


def commands(program: str) -> list[tuple[str, list[str]]]:
    """Every call of a program in a code block of a README, with its arguments."""
    pattern = re.compile(rf"(?: {{4}}|\$ )+(?:[A-Z_]+=\S+ )*{program} (.*)")
    lines = [(readme, line) for readme in READMES for line in readme.read_text().splitlines()]
    return [
        (f"{readme.relative_to(ROOT)}: {line.strip()}", before_shell(found[1]))
        for readme, line in lines
        if (found := pattern.match(line))
    ]


def before_shell(text: str) -> list[str]:
    """The arguments, without what the shell does with the output or afterwards."""
    return shlex.split(re.split(r"\|\||&&|>>|[|;>]", text)[0], comments=True)


@pytest.mark.parametrize(("where", "targets"), commands("make"))
def test_a_make_target_in_a_readme_exists(where: str, targets: list[str]) -> None:
    assert set(targets) <= TARGETS, where


@pytest.mark.parametrize(("where", "arguments"), commands("windtunnel"))
def test_a_command_in_a_readme_parses(where: str, arguments: list[str]) -> None:
    group = typer.main.get_command(windtunnel.app)
    assert isinstance(group, TyperGroup)
    name, *rest = arguments
    # What it refuses it says with an exception that names the argument.
    context = group.commands[name].make_context(name, list(rest))
    assert context.command.name == name, where


def tables() -> list[tuple[str, list[str]]]:
    """What stands between markers in the README: the record's name, and the lines."""
    text = (ROOT / "README.md").read_text()
    found = re.findall(r"<!-- record: (\S+) -->\n(.*?)<!-- end -->", text, re.S)
    assert len(found) == text.count("<!-- record:") > 0, "README.md has no table in its markers"
    return [(record, lines.strip().splitlines()) for record, lines in found]


@pytest.mark.parametrize(("record", "rows"), tables())
def test_a_table_of_the_readme_is_what_its_record_says(record: str, rows: list[str]) -> None:
    produced = markdown.text(compare(load(ROOT / record), percentiles=PERCENTILES)).splitlines()
    assert len(rows) > 5
    for row in rows:
        assert row in produced, f"{row}\nis not what `windtunnel compare {record}` says"


LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")


@pytest.mark.parametrize("readme", [*READMES, *sorted((ROOT / "benchmarks/results").glob("*.md"))])
def test_what_a_readme_links_to_is_there(readme: Path) -> None:
    for target in LINK.findall(readme.read_text()):
        assert (readme.parent / target).exists(), f"{readme}: {target}"


def test_the_readme_counts_the_claims_as_their_outcome_does() -> None:
    text = " ".join((ROOT / "README.md").read_text().replace("**", "").split())
    (page,) = set(re.findall(r"\]\((benchmarks/results/claims/[^)/]+)/README\.md\)", text))
    outcome = json.loads((ROOT / page / "claims.json").read_text())
    counts = Counter(claim["verdict"] for claim in outcome["claims"])
    said = (
        f"{len(outcome['claims'])} of its claims to the test in 35 minutes on two shared CPUs:"
        f" {counts['holds']} hold, {counts['holds in part']} hold in part,"
        f" {counts['does not hold']} do not hold, and {counts['cannot be told here']} cannot"
    )
    assert said in text
