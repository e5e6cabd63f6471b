"""The data flows one way, and so do the imports."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

MAY_IMPORT: dict[str, set[str]] = {
    "service": set(),
    "grafana": {"service"},
    "prometheus": {"service"},
    "loadtests": set(),
    "benchmarks": {"loadtests"},
    "analysis": {"benchmarks", "loadtests"},
    "dashboards": {"analysis"},
}
OURS = {*MAY_IMPORT, "windtunnel"}


def imported(file: Path) -> Iterator[str]:
    """The packages of ours that a file imports, wherever in the file it does so."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import; write the package's name"
            names = [node.module or ""]
        else:
            continue
        yield from (top for name in names if (top := name.partition(".")[0]) in OURS)


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_imports_only_what_is_upstream_of_it(package: str) -> None:
    files = list((ROOT / package).rglob("*.py"))
    assert files, f"{package} has no modules: the table is out of date"
    for file in files:
        extra = set(imported(file)) - MAY_IMPORT[package] - {package}
        assert not extra, f"{file.relative_to(ROOT)} imports {', '.join(sorted(extra))}"


def test_the_table_names_every_package() -> None:
    packages = {init.parent.name for init in ROOT.glob("*/__init__.py")}
    assert packages == set(MAY_IMPORT)
