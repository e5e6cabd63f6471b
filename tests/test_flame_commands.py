"""`windtunnel flame`: two files or one record, as page, table or for speedscope."""

import json
import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from analysis.flame.commands import app
from analysis.latency import AnalysisError

PROFILES = Path(__file__).parent / "data/profiles"
STACKS = PROFILES / "profiles"


def flame(*arguments: str | Path) -> Result:
    found = CliRunner().invoke(app, [str(each) for each in arguments], env={"COLUMNS": "120"})
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found


def test_a_record_gives_a_page_a_table_and_sentences(tmp_path: Path) -> None:
    page = tmp_path / "difference.html"
    said = flame(PROFILES, "--output", page).stdout
    assert said.startswith("baseline → optimized with 8 clients\n")
    assert "Grey is within the noise" in said
    (load,) = (line for line in said.splitlines() if line.startswith("ImageFile.load "))
    assert "PIL/ImageFile.py" in load
    assert "decode: " in said
    assert said.endswith(f"{page}\n")
    text = page.read_text()
    assert "Image.resize" in text
    assert "decode_turbo" in text


def test_copies_have_an_empty_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = flame(PROFILES, "--variant", "baseline.aa", "--format", "table").stdout
    assert "No function's own cost changed beyond the noise." in said
    assert "no difference beyond the noise" in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("level", ["8", "c0008"])
def test_one_variant_alone_shows_what_costs_most(level: str) -> None:
    said = flame(
        PROFILES, "--alone", "--variant", "optimized", "--level", level, "--format", "table"
    ).stdout
    assert said.startswith("optimized with 8 clients\n")
    rows = [line for line in said.splitlines() if "service/imaging.py" in line]
    assert rows[0].startswith("decode_turbo ")
    assert "more are not shown" in said


def test_two_files_with_a_copy_give_what_the_record_gives(tmp_path: Path) -> None:
    files = [STACKS / variant / "c0008.txt" for variant in ("baseline", "optimized")]
    copy = STACKS / "baseline.aa/c0008.txt"
    said = flame(*files, "--copy", copy, "--format", "table").stdout
    assert said.startswith("baseline → optimized\n")
    assert "CPU time a request comes from one window only" in said.replace("\n", " ")
    # A cost of its own, as the files have no measured repeats, but the same functions.
    recorded = flame(PROFILES, "--format", "table").stdout
    assert functions(said) == functions(recorded) != []
    alone = flame(files[1], "--format", "table").stdout
    assert alone.startswith("optimized\n")


def functions(said: str) -> list[str]:
    """The rows of the table: a name and its file, then numbers."""
    return re.findall(r"^(\S+) +\S+\.py +[\d.]+ +[\d.]+ ", said, re.MULTILINE)


def test_speedscope_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = flame(STACKS / "optimized/c0008.txt", "--format", "speedscope").stdout
    assert said.endswith("flame.speedscope.json\n")
    document = json.loads((tmp_path / "flame.speedscope.json").read_text())
    assert [found["name"] for found in document["profiles"]] == ["optimized"]


def test_what_does_not_go_together_is_refused(tmp_path: Path) -> None:
    file = STACKS / "optimized/c0008.txt"
    for arguments, message in (
        ([PROFILES, file], "B: found .* expected none: a record has both"),
        ([PROFILES, "--copy", file], "--copy: found .* an A/A pair has its own"),
        ([PROFILES, "--alone", "--against", "optimized"], "--against: found optimized; .*--alone"),
        (
            [PROFILES, "--variant", "optimized", "--against", "optimized"],
            "--against: found optimized; expected none: the variant is optimized too",
        ),
        ([file, "--variant", "seed"], "--variant: found seed; .* A is a file"),
        ([file, "--copy", file], "--copy: found .* there is no B"),
        ([PROFILES, "--variant", "seed"], "no profile of 'seed' at 'c0008'; expected one of"),
        ([PROFILES, "--level", "32"], "no profile of 'baseline' at '32'; expected one of"),
        ([tmp_path / "none.txt"], "none.txt: cannot be read"),
        ([PROFILES / "run.json"], "run.json, line 1: found '{'; expected `frame;frame count`"),
    ):
        with pytest.raises(AnalysisError, match=message):
            flame(*arguments)


def test_names_from_a_profile_are_text_and_no_markup(tmp_path: Path) -> None:
    path = tmp_path / "[bold].txt"
    path.write_text("[red]main[/red] (<script>.py:1);\x1b[31mf (a.py:1) 3\n")
    page = tmp_path / "page.html"
    said = flame(path, "--output", page).stdout
    assert "[31mf" in said
    assert "\x1b" not in said
    assert "<script>.py" not in page.read_text()


def test_a_profile_of_a_level_that_both_have_is_chosen(tmp_path: Path) -> None:
    own = Path(shutil.copytree(PROFILES, tmp_path / "record"))
    run = json.loads((own / "run.json").read_text())
    run["campaign"]["clients"] = [8, 32]
    (own / "run.json").write_text(json.dumps(run))
    assert flame(own, "--format", "table").stdout.startswith("baseline → optimized with 8 clients")
