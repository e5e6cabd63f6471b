"""analysis/README.md says what the code does: doubts, JSON keys, modules, counts, policy."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest

from analysis import export, policy
from analysis.comparison import compare
from analysis.doubts import KINDS
from analysis.latency import min_count
from benchmarks.record import load

ROOT = Path(__file__).parent.parent
README = (ROOT / "analysis/README.md").read_text()


def section(title: str) -> str:
    return README.split(f"## {title}\n")[1].split("\n## ")[0]


def first_column(text: str) -> list[str]:
    """The names in code style at the start of each row of a table."""
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row)]


def test_the_table_of_doubts_is_that_of_the_code() -> None:
    assert first_column(section("Doubts")) == list(KINDS)


def test_every_module_is_in_the_table() -> None:
    analysis = ROOT / "analysis"
    modules = {
        str(file.relative_to(analysis))
        for file in analysis.rglob("*.py")
        if file.name != "__init__.py" and file.parent.name != "figures"
    }
    assert set(first_column(README.split("\n## ")[0])) == modules | {"figures/"}


def test_every_figure_is_in_its_table() -> None:
    functions = {
        node.name
        for file in (ROOT / "analysis/figures").glob("*.py")
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
        if node.returns and ast.unparse(node.returns) in ("Figure", "Figure | None")
    }
    assert set(first_column(section("Figures"))) == functions


def test_the_minimum_counts_are_those_of_the_formula() -> None:
    sentence = re.search(r"(\d+) for\s+P50, (\d+) for P95, (\d+) for P99, (\d+) for P99.9", README)
    assert sentence is not None
    assert [int(n) for n in sentence.groups()] == [min_count(q) for q in (50, 95, 99, 99.9)]


def keys_of(name: str) -> set[str]:
    row = next(line for line in section("The JSON").splitlines() if line.startswith(f"| `{name}`"))
    return set(re.findall(r"`([^`]+)`", row.split("|")[2]))


def test_the_schema_names_every_key_of_the_json() -> None:
    document: dict[str, Any] = export.document(compare(load(ROOT / "tests/data/record-v1")))
    named = [name for name in first_column(section("The JSON")) if "[" not in name]
    assert set(named) == set(document)
    cell, difference = document["cells"][0], document["differences"][0]
    repeat = cell["repeats"][0]
    assert set(cell) <= keys_of("cells")
    assert set(repeat) | set(repeat["response"]["p50"]) == keys_of("cells[].repeats")
    expected = set(difference) | set(difference["ratio"]) | {"p95", "throughput"}
    assert expected == keys_of("differences")


def test_the_schema_names_every_key_about_triton() -> None:
    document = export.document(compare(load(ROOT / "tests/data/record-triton")))
    found = document["triton"][0]
    # keys_of also sees the name of the file that it comes from.
    assert set(found) == keys_of("triton") - {"metrics.parquet"}
    assert set(found["repeats"][0]) == keys_of("triton[].repeats")
    assert set(found["median"]) <= keys_of("triton[].repeats")


def test_the_policy_in_the_readme_is_read(tmp_path: Path) -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", section("The gate"), flags=re.S)
    file = tmp_path / "policy.toml"
    file.write_text(text)
    found = policy.read(file)
    assert found.reference == "main"
    assert found.rule[0].clients == (8, 32)
    documented = set(re.findall(r"^(\w+) = ", text, flags=re.M))
    fields = {"rates", *policy.Rule.__dataclass_fields__, "reference", "block_on"}
    assert documented == fields - {"rates"}


@pytest.mark.parametrize("file", sorted((ROOT / "benchmarks/policies").glob("*.toml")), ids=str)
def test_every_policy_that_ships_is_read(file: Path) -> None:
    assert policy.read(file).rule
