"""The app's pages, run by Streamlit's test runner over a folder with every kind of run."""

import json
import re
import shlex
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from streamlit.testing.v1 import AppTest

from analysis.comparison import compare
from analysis.latency import AnalysisError
from analysis.meanings import MEANINGS
from analysis.words import floor_text, ratio_interval, ratio_point
from benchmarks.record import load
from dashboards import data, settings
from dashboards.commands import check_port, url
from dashboards.kept import Kept
from dashboards.text import bullets, escaped, said
from tests import gallery
from tests.golden import DEMO

ROOT = Path(__file__).parent.parent
APP = ROOT / "dashboards/app.py"
Open = Callable[..., AppTest]
PAGES = {
    "overview": "Is the service meeting its SLO, and what changed last?",
    "runs": "Which runs do I have?",
    "matrix": "Where is the knee?",
    "curves": "What do I pay in latency for throughput?",
    "compare": "Is B slower than A, and where?",
    "cell": "What happened inside this cell?",
    "stages": "Which stage costs?",
    "flamegraphs": "What code got more expensive?",
    "history": "When did it change?",
    "method": "May I trust this?",
}


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What each run of the gallery is called; its results folder is the app's while tests run."""
    results = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv(settings.RESULTS, str(results))
        made = (gallery.hostile, gallery.partial, gallery.running, gallery.alone, gallery.broken)
        names = {make.__name__: make(results) for make in (*made, gallery.newer, gallery.imported)}
        past, real = gallery.history(results), gallery.real(results)
        gallery.profile(results / real)
        yield {**names, "first": past[0], "last": past[-1], "real": real}


@pytest.fixture(scope="module")
def opened(kinds: dict[str, str]) -> Open:
    """Opens a page as a link shows it, in a session of its own."""

    def open_page(page: str, *runs: str, **query: str) -> AppTest:
        app = AppTest.from_file(str(APP), default_timeout=30)
        if runs:
            # Every session begins with the overview, which is quick to say of this run what it is.
            app.query_params["run"] = kinds["broken"]
        app.run().switch_page(f"views/{page}.py")
        app.query_params.clear()
        app.query_params.update(query)
        if runs:
            app.query_params["run"] = list(runs)
        app.run()
        assert not app.exception
        assert [title.value for title in app.title] == [PAGES[page]]
        return app

    return open_page


def texts(app: AppTest) -> str:
    """All that is said in words."""
    parts = (app.markdown, app.caption, app.info, app.warning, app.error, app.subheader)
    return "\n".join(element.value for part in parts for element in part)


def links_of(app: AppTest) -> list[Any]:
    """The links to other views."""
    return list(app.main.get("page_link"))


def failed(app: AppTest) -> list[str]:
    return [error.value for error in app.error]


def table(app: AppTest, column: str) -> dict[str, list[object]]:
    """The table that has this column."""
    frames = (frame.value for frame in app.dataframe)
    found = next(frame for frame in frames if column in frame.columns)
    return {str(name): list(found[name]) for name in found.columns}


@pytest.mark.parametrize("page", PAGES)
def test_every_page_shows_a_real_record_without_an_error(
    opened: Open, kinds: dict[str, str], page: str
) -> None:
    app = opened(page, kinds["real"])
    assert not failed(app)
    assert not app.warning or page == "cell"  # the doubts of that very cell


@pytest.mark.parametrize(
    ("kind", "pages"),
    [
        ("hostile", ["overview", "matrix", "curves", "compare", "cell", "stages", "method"]),
        ("partial", ["overview", "matrix", "compare", "cell", "stages", "history"]),
        ("alone", ["overview", "curves", "compare", "cell", "stages", "history", "method"]),
        ("imported", ["overview", "compare", "cell", "stages", "history"]),
    ],
)
def test_pages_show_every_kind_of_record(
    opened: Open, kinds: dict[str, str], kind: str, pages: list[str]
) -> None:
    for page in pages:
        assert not failed(opened(page, kinds[kind])), page


def test_the_newest_run_is_shown_and_pinned_in_the_url(kinds: dict[str, str]) -> None:
    app = AppTest.from_file(str(APP), default_timeout=30).run()
    assert app.selectbox("run_box").value == kinds["imported"]
    assert app.query_params["run"] == kinds["imported"]


def test_the_overview_says_what_the_run_found(opened: Open, kinds: dict[str, str]) -> None:
    app = opened("overview", kinds["real"])
    said_of = texts(app)
    assert escaped("At P95, optimized is faster than baseline at every level") in said_of
    assert escaped("share the CPUs") in said_of
    assert re.search(r"▼ slower .*32 clients", said_of)


def test_the_overview_shows_when_a_cell_changed(opened: Open, kinds: dict[str, str]) -> None:
    app = opened("overview", kinds["last"])
    assert [metric.label for metric in app.metric] == [
        escaped("baseline, 32 clients, P95"),
        escaped("optimized, 32 clients, P95"),
    ]
    assert escaped("since 2026-01-04") in texts(app)


def test_an_slo_of_the_url_is_held_against_the_run(opened: Open, kinds: dict[str, str]) -> None:
    app = opened("overview", kinds["last"], slo="p95=1ms")
    assert "✗ broken" in list(app.table[0].value["8 clients"])
    app = opened("overview", kinds["last"], slo="p95=9s")
    assert set(app.table[0].value["8 clients"]) == {"✓ holds"}


def test_an_slo_that_is_none_is_named_and_the_default_is_kept(
    opened: Open, kinds: dict[str, str]
) -> None:
    app = opened("matrix", kinds["last"], slo="fast")
    assert [warning.value for warning in app.warning] == [
        escaped(
            "SLO 'fast': found 'fast'; expected one percentile and its limit, and errors;"
            " write p99=250ms,errors=0.1%"
        )
    ]


def test_runs_lists_every_run_with_the_reason_of_a_broken_one(
    opened: Open, kinds: dict[str, str]
) -> None:
    app = opened("runs")
    shown = table(app, "campaign")
    assert len(shown["campaign"]) == 14
    reasons = dict(zip(shown["campaign"], shown["question, or why it cannot be read"], strict=True))
    assert "damaged or cut short" in str(reasons["broken"])
    assert "this windtunnel reads 1 to 1" in str(reasons["newer"])
    assert "14 of 14 runs" in texts(app)


def test_filters_of_the_url_say_how_many_runs_they_hide(
    opened: Open, kinds: dict[str, str]
) -> None:
    app = opened("runs", q="optimized", campaign="simulated", status="complete")
    assert len(table(app, "campaign")["campaign"]) == 6
    assert "6 of 14 runs; the filters hide 8" in texts(app)
    app = opened("runs", source="imported")
    assert table(app, "campaign")["campaign"] == ["from_locust"]
    app = opened("runs", q="no such run")
    assert "No run matches the filters" in texts(app)


def test_a_run_that_nobody_knows_is_named_and_the_newest_is_shown(
    opened: Open, kinds: dict[str, str]
) -> None:
    app = opened("runs", "../../etc", "<script>alert(1)</script>")
    (warning,) = [warning.value for warning in app.warning]
    assert escaped("../../etc") in warning
    assert "<script>" not in warning.replace("\\", "\\\\").replace(escaped("<script>"), "")
    assert len(table(app, "campaign")["campaign"]) == 14


def test_a_choice_of_the_url_that_nobody_knows_is_named(
    opened: Open, kinds: dict[str, str]
) -> None:
    app = opened("cell", kinds["last"], variant="nobody", level="8 clients")
    assert any("nobody" in warning.value for warning in app.warning)
    assert app.selectbox("variant").value == "baseline"
    assert app.selectbox("level").value == "8 clients"


@pytest.mark.parametrize("kind", ["broken", "newer"])
def test_a_run_that_cannot_be_read_says_why(opened: Open, kinds: dict[str, str], kind: str) -> None:
    for page in ("overview", "compare", "cell"):
        app = opened(page, kinds[kind])
        assert "cannot be read" in failed(app)[0]
        assert app.main.get("page_link")[0].proto.label == "All runs"


def test_a_running_run_is_followed(opened: Open, kinds: dict[str, str]) -> None:
    app = opened("overview", kinds["running"])
    assert app.get("progress")[0].proto.text.startswith("6 of 18 repeats are there")


def test_a_record_that_grew_is_read_again(
    opened: Open, kinds: dict[str, str], tmp_path: Path
) -> None:
    results = data.results()
    run = results / kinds["partial"]
    kept = tmp_path / "r03"
    shutil.move(run / "cells/baseline/c0001/r03", kept)
    app = opened("method", kinds["partial"])
    assert table(app, "highest percentile")["repeats"][0] == "2 of 3"
    shutil.move(kept, run / "cells/baseline/c0001/r03")
    app = opened("method", kinds["partial"])
    assert table(app, "highest percentile")["repeats"][0] == "3 of 3"


def test_compare_shows_every_difference_with_its_interval(
    opened: Open, kinds: dict[str, str]
) -> None:
    app = opened("compare", kinds["real"])
    shown = table(app, "would have shown")
    rows = [dict(zip(shown, values, strict=True)) for values in zip(*shown.values(), strict=True)]
    (row,) = [
        row
        for row in rows
        if (row["load"], row["measure"], row["variant"]) == ("32 clients", "P95", "seed")
    ]
    every = compare(load(DEMO)).matrix.differences
    (d,) = [d for d in every if (d.level, d.measure, d.variant) == ("c0032", "p95", "seed")]
    assert d.ratio is not None
    assert row["verdict"].endswith(f" {d.verdict}")
    assert row["ratio"] == ratio_point(d.ratio)
    assert row["95 % interval"] == ratio_interval(d.ratio)
    assert row["noise floor"] == floor_text(d.floor)
    assert "over all levels" in shown["load"]


def test_another_reference_turns_the_ratios_round(opened: Open, kinds: dict[str, str]) -> None:
    app = opened("compare", kinds["last"])
    app.button("swap-optimized").click().run()
    assert app.selectbox("reference").value == "optimized"
    assert table(app, "would have shown")["variant"][0] == "baseline"
    app = opened("compare", kinds["last"], reference="optimized")
    assert table(app, "would have shown")["variant"][0] == "baseline"


def test_a_second_run_is_shown_beside_without_a_verdict(
    opened: Open, kinds: dict[str, str]
) -> None:
    app = opened("compare", kinds["last"], kinds["first"])
    values = table(app, "P95 ms, second run")
    assert sorted(set(map(str, values["variant"]))) == ["baseline", "baseline.aa", "optimized"]
    assert len(values["variant"]) == 6
    assert any("no verdict" in warning.value for warning in app.warning)
    assert "alike" in app.success[0].value
    app = opened("compare", kinds["last"], kinds["real"])
    assert "machine.cpu" in table(app, "fact")["fact"]


def test_a_cell_shows_its_slowest_requests_and_their_traces(
    opened: Open, kinds: dict[str, str]
) -> None:
    app = opened("cell", kinds["hostile"], variant="baseline", level="1 client", repeat="2")
    assert app.selectbox("repeat").value == "2"
    assert table(app, "trace id")["trace id"] == [gallery.HOSTILE[1]]


def test_stages_say_when_a_service_names_none(opened: Open, kinds: dict[str, str]) -> None:
    app = opened("stages", kinds["alone"])
    assert "Server-Timing" in texts(app)
    app = opened("stages", kinds["real"])
    assert "infer" in texts(app)


def test_history_names_the_change_and_what_is_left_out(opened: Open, kinds: dict[str, str]) -> None:
    app = opened("history", kinds["last"], variant="optimized", level="8 clients")
    assert re.search(
        r"since 2026\\-01\\-04 .*: 1\\\.[23]\d times as long", texts(app).replace("\u2060", "")
    )
    app = opened("history", kinds["last"], variant="baseline")
    assert "no change in 6 runs" in texts(app)
    app = opened("history", kinds["alone"])
    assert "A history needs two runs" in texts(app)


def test_method_says_what_each_doubt_means_and_what_an_import_cannot_know(
    opened: Open, kinds: dict[str, str]
) -> None:
    app = opened("method", kinds["imported"])
    assert "What an imported record cannot know" in texts(app)
    assert "coordinated omission" in texts(app)
    assert len(app.table[0].value) == len(MEANINGS)


def test_without_results_the_command_that_helps_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(settings.RESULTS, str(tmp_path / "none"))
    app = AppTest.from_file(str(APP), default_timeout=30).run()
    assert "There is no folder" in app.info[0].value
    monkeypatch.setenv(settings.RESULTS, str(tmp_path))
    app.run()
    assert "There is no run" in app.info[0].value
    assert app.code[0].value == "windtunnel run benchmarks/campaigns/demo.toml"


def test_a_running_run_without_a_repeat_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gallery.running(tmp_path, repeats=0)
    monkeypatch.setenv(settings.RESULTS, str(tmp_path))
    app = AppTest.from_file(str(APP), default_timeout=30).run()
    assert "its first repeat is not complete yet" in app.info[0].value
    assert app.get("progress")[0].proto.text.startswith("0 of 18")


@pytest.mark.parametrize(
    "text",
    [
        *gallery.HOSTILE,
        "http://a.example/x",
        "**bold** _i_ ~~s~~ # h",
        "a\nb\t\x1b[31m\u202ec",
        "$x$ :red[x] :smile: :material/home:",
        "1. - > ---",
        "&lt; <!-- -->",
    ],
)
def test_an_escaped_text_has_no_markup(text: str) -> None:
    shown = escaped(text)
    assert not re.search(r"[!-/:-@\[-`{-~]", re.sub(r"\\[!-/:-@\[-`{-~]", "", shown))
    plain = re.sub(r"\\(.)", r"\1", shown)
    assert not re.search(r":[^\s\u2060]|www\.|[^\s\u2060]@|[\n\x1b\u202e]", plain)
    assert plain.replace("\u2060", "").split() == [
        re.sub(r"[\x1b\u202e]", "�", word) for word in text.split()
    ]


def test_a_command_in_a_sentence_is_code_and_a_lone_backtick_is_none() -> None:
    assert said("try `windtunnel run *x*` now") == r"try `windtunnel run *x*` now"
    assert said("a ` b") == r"a \` b"
    assert bullets(["a*b", "`c`"]) == "- a\\*b\n- `c`"


def test_the_meanings_of_doubts_are_those_of_the_readme() -> None:
    readme = (ROOT / "analysis/README.md").read_text().partition("## Doubts")[2]
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", readme.partition("\n## ")[0], re.MULTILINE)
    assert dict(rows) == MEANINGS


def test_what_is_kept_stays_within_its_bytes() -> None:
    kept: Kept[str] = Kept(most_bytes=10, most=3)
    kept.keep("a", "A", 4)
    kept.keep("b", "B", 4)
    assert kept.get("a") == "A"
    kept.keep("c", "C", 4)  # b was used least recently
    assert (kept.get("a"), kept.get("b"), kept.get("c")) == ("A", None, "C")
    kept.keep("c", "D", 1)
    assert kept.bytes == 5


def test_a_port_that_is_taken_is_one_line() -> None:
    with socket.socket() as other:
        other.bind((settings.ADDRESS, 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(AnalysisError, match=rf"^port {port}: cannot be used .*--port \d+$"):
            check_port(port)
    check_port(port)


def test_the_app_reports_to_nobody_and_listens_on_this_machine_alone() -> None:
    arguments = settings.arguments(8501)
    pairs = list(zip(arguments[3::2], arguments[4::2], strict=True))
    assert ("--browser.gatherUsageStats", "false") in pairs
    assert ("--server.address", "127.0.0.1") in pairs
    assert ("--server.headless", "true") in pairs


@pytest.fixture
def alone_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], AppTest]:
    """Opens the app over a folder of its own, whose run a test has damaged."""

    def open_app(run: str) -> AppTest:
        monkeypatch.setenv(settings.RESULTS, str(tmp_path))
        app = AppTest.from_file(str(APP), default_timeout=30)
        app.query_params["run"] = run
        app.run()
        assert not app.exception
        return app

    return open_app


def change(file: Path, **facts: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | facts))


def test_other_rows_are_another_table_so_that_ticks_stay_with_their_runs(
    opened: Open, kinds: dict[str, str]
) -> None:
    queries: tuple[dict[str, str], ...] = ({}, {}, {"q": "simulated"})
    tables = [opened("runs", **query).dataframe[0].proto.id for query in queries]
    every, again, some = (name.rpartition("-runs_table-")[2] for name in tables)
    assert every == again != some


def test_a_cell_that_was_imported_says_what_is_not_known(
    opened: Open, kinds: dict[str, str]
) -> None:
    app = opened("cell", kinds["imported"])
    shown = [str(value) for each in app.table for value in each.value.to_numpy().ravel()]
    assert not any("inf" in value for value in shown)
    assert (
        dict(zip(*(app.table[0].value[name] for name in ("what", "value")), strict=True))[
            "send lag P99"
        ]
        == "-"
    )
    assert "What was imported does not name them" in texts(app)
    assert "when a request was due" not in texts(app)


def test_a_running_run_with_a_damaged_repeat_says_which_file(
    alone_in: Callable[[str], AppTest], tmp_path: Path
) -> None:
    run = gallery.running(tmp_path)
    (tmp_path / run / "cells/baseline/c0001/r01/samples.parquet").write_bytes(b"no Parquet")
    app = alone_in(run)
    assert "samples" in failed(app)[0]
    assert "not complete yet" not in texts(app)
    assert app.get("progress")[0].proto.text.startswith("6 of 18 repeats are there")


def test_a_run_without_a_repeat_can_be_resumed(
    alone_in: Callable[[str], AppTest], tmp_path: Path
) -> None:
    run = gallery.running(tmp_path, repeats=0, folder="it's")
    change(tmp_path / run / "run.json", status="interrupted")
    (code,) = alone_in(run).code
    assert shlex.split(code.value) == ["windtunnel", "run", "--resume", str(tmp_path / run)]


def test_a_run_that_left_out_all_of_its_variants_says_why(
    alone_in: Callable[[str], AppTest], tmp_path: Path
) -> None:
    run = gallery.partial(tmp_path)
    names = ("baseline", "optimized", "baseline.aa")
    change(tmp_path / run / "run.json", left_out=dict.fromkeys(names, "needs *CUDA*"))
    shown = texts(alone_in(run))
    assert "no variant was run" in shown
    assert f"optimized: {escaped('needs *CUDA*')}" in shown.replace("\\:", ":").replace(
        "\u2060", ""
    )


def test_a_reference_that_was_left_out_is_named(
    alone_in: Callable[[str], AppTest], tmp_path: Path
) -> None:
    run = gallery.partial(tmp_path)
    for name in ("baseline", "baseline.aa"):
        shutil.rmtree(tmp_path / run / "cells" / name)
    left_out = dict.fromkeys(("baseline", "baseline.aa"), "needs CUDA")
    change(tmp_path / run / "run.json", left_out=left_out)
    app = alone_in(run)
    warnings = [warning.value for warning in app.warning]
    assert "The campaign's reference, baseline, was left out: needs CUDA" in warnings
    assert app.selectbox("reference").value == "optimized"


def test_a_campaign_may_be_called_as_the_filter_calls_all_of_them(
    alone_in: Callable[[str], AppTest], tmp_path: Path
) -> None:
    run = gallery.running(tmp_path, folder="any")
    gallery.running(tmp_path, folder="another")
    app = alone_in(run)
    app.switch_page("views/runs.py").run()
    assert len(table(app, "campaign")["campaign"]) == 2
    app.selectbox("campaign").select("any").run()
    assert table(app, "campaign")["campaign"] == ["any"]


def test_a_link_to_other_runs_keeps_what_is_chosen(opened: Open, kinds: dict[str, str]) -> None:
    app = opened("compare", kinds["last"], reference="optimized")
    app.query_params["run"] = kinds["broken"]
    app.run()
    (link,) = app.main.get("page_link")
    assert parse_qs(link.proto.query_string) == {
        "run": [kinds["broken"]],
        "reference": ["optimized"],
    }


def test_an_app_that_listens_everywhere_is_found_on_this_machine() -> None:
    assert url("0.0.0.0", 8600) == "http://127.0.0.1:8600"
    assert url("192.0.2.7", 8600) == "http://192.0.2.7:8600"


def test_a_run_without_profiles_says_how_to_get_them(opened: Open, kinds: dict[str, str]) -> None:
    app = opened("flamegraphs", kinds["last"])
    assert "This run has no profiles" in app.info[0].value
    assert [code.value.split("\n")[0] for code in app.code] == [
        "[profile]",
        "windtunnel profile --variant baseline --format collapsed --output baseline.txt",
    ]


@pytest.mark.parametrize("status", ["running", "interrupted"])
def test_a_run_whose_profiles_are_missing_says_when_or_how_they_come(
    alone_in: Callable[[str], AppTest], tmp_path: Path, status: str
) -> None:
    run = gallery.partial(tmp_path)
    file = tmp_path / run / "run.json"
    campaign = json.loads(file.read_text())["campaign"] | {"profile": {"clients": [8]}}
    change(file, campaign=campaign, status=status)
    app = alone_in(run)
    app.switch_page("views/flamegraphs.py").run()
    assert not app.exception
    assert "profiles that the campaign asks for are" in app.info[0].value
    assert "This run has no profiles" not in texts(app)
    resume = [shlex.split(code.value) for code in app.code]
    expected = [["windtunnel", "run", "--resume", str(tmp_path / run)]]
    assert resume == (expected if status == "interrupted" else [])


def test_a_difference_says_what_it_is_made_of(opened: Open, kinds: dict[str, str]) -> None:
    app = opened("flamegraphs", kinds["real"])
    assert [box.value for box in app.main.selectbox] == ["optimized", "32 clients", "baseline"]
    assert "Image.resize" in texts(app).replace("\\", "")
    functions = table(app, "function")
    place = functions["function"].index("Image.resize")
    assert functions["difference"][place] < 0  # type: ignore[operator]
    assert functions["changed"][place] == "▼ less"
    assert functions["changed"][functions["function"].index("part3")] == ""
    links = {link.proto.label: parse_qs(link.proto.query_string) for link in links_of(app)}
    (query,) = (links[label] for label in links if label.startswith(escaped("Image.resize")))
    assert query["find"] == [r"^Image\.resize \(PIL/Image\.py\)$"]
    assert (query["variant"], query["against"]) == (["optimized"], ["baseline"])
    assert query["level"] == ["32 clients"]


def test_one_profile_is_shown_alone(opened: Open, kinds: dict[str, str]) -> None:
    for query in ({"variant": "baseline"}, {"against": "nothing: one profile"}):
        app = opened("flamegraphs", kinds["real"], **query)
        assert app.selectbox("against").value == "nothing: one profile"
        functions = table(app, "function")
        assert "difference" not in functions
        assert len(functions) == 6


def test_a_variant_is_not_held_against_itself(opened: Open, kinds: dict[str, str]) -> None:
    app = opened("flamegraphs", kinds["real"], against="baseline")
    app.selectbox("variant").select("baseline").run()
    assert not app.exception
    assert app.selectbox("against").options == [
        "nothing: one profile",
        "optimized",
        "baseline.aa",
    ]
    assert app.selectbox("against").value == "nothing: one profile"
    assert not [warning.value for warning in app.warning if "Not here" in warning.value]


def test_pages_lead_to_the_profile_at_the_nearest_load(opened: Open, kinds: dict[str, str]) -> None:
    wanted = "Which code: the flamegraph of optimized, 32 clients"
    for page, query in (("overview", {}), ("stages", {"level": "1 client"})):
        app = opened(page, kinds["real"], variant="optimized", **query)
        assert wanted in [link.proto.label for link in links_of(app)]
    # The seed has none.
    app = opened("stages", kinds["real"], variant="seed")
    assert "Which code: the flamegraphs of this run" in [link.proto.label for link in links_of(app)]


def test_a_damaged_profile_is_said_in_one_line(opened: Open, kinds: dict[str, str]) -> None:
    record = data.results() / kinds["real"]
    for name, text in (("c0032.txt", "no count"), ("c0032.json", "{")):
        file = record / "profiles/optimized" / name
        kept = file.read_text()
        file.write_text(text)
        try:
            (problem,) = failed(opened("flamegraphs", kinds["real"]))
            assert escaped(name) in problem
        finally:
            file.write_text(kept)
    assert not failed(opened("flamegraphs", kinds["real"]))
