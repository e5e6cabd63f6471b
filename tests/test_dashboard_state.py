"""What the app keeps from view to view, and what it must not keep."""

import gc
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from analysis.catalogue import Entry
from benchmarks.record import Visit, load
from dashboards import data, once, past, settings
from dashboards.kept import Kept
from dashboards.sidebar import titles
from tests import gallery
from tests.records import arrays

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """Six runs of one campaign, the oldest first; the oldest has an SLO of its own."""
    results = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv(settings.RESULTS, str(results))
        names = gallery.history(results)
        file = results / names[0] / "run.json"
        run = json.loads(file.read_text())
        run["campaign"] |= {"slo": "p95=9s", "reference": "optimized"}
        file.write_text(json.dumps(run))
        yield names


def opened(run: str, page: str = "overview") -> AppTest:
    app = AppTest.from_file(str(ROOT / "dashboards/app.py"), default_timeout=30)
    app.query_params["run"] = run
    app.run()
    if page != "overview":
        app.switch_page(f"views/{page}.py").run()
    assert not app.exception
    return app


def test_another_run_is_judged_by_its_own_slo_and_reference(runs: list[str]) -> None:
    app = opened(runs[-1])
    assert app.text_input("slo").value == "p99=250ms,errors=0.1%"
    app.selectbox("run_box").set_value(runs[0]).run()
    assert app.text_input("slo").value == "p95=9s"
    assert app.selectbox("reference").value == "optimized"
    app.text_input("slo").set_value("p50=1s").run()
    app.selectbox("run_box").set_value(runs[-1]).run()
    # Somebody chose it, so it goes along.
    assert app.text_input("slo").value == "p50=1s"


def test_what_came_later_is_no_news_of_an_earlier_run(runs: list[str]) -> None:
    first, last = ([metric.value for metric in opened(run).metric] for run in (runs[1], runs[-1]))
    assert len(first) == len(last) == 2
    assert first != last


def entry(run: str, started: str = "2026-01-01T03:04:05Z", **more: str) -> Entry:
    return Entry(Path(run), f"c/{run}", "c", run, started=started, **more)  # type: ignore[arg-type]


def test_runs_of_one_second_can_be_told_apart_in_the_box() -> None:
    known = {each.id: each for each in map(entry, ("one", "two"))}
    known["c/three"] = entry("three", "2026-01-01T03:04:06Z")
    found = titles(known, list(known))
    assert len(set(found.values())) == 3
    assert found["c/three"] == "c, 2026-01-01 03:04:06"


def test_machines_that_read_alike_are_told_apart_and_the_newest_comes_first() -> None:
    runs = [entry(str(n), machine="M", machine_key=key) for n, key in enumerate("aba")]
    assert past.machines(runs) == {"M": "a", "M (2)": "b"}


def test_a_figure_is_made_once_for_a_repeat_and_again_for_another_in_its_place() -> None:
    made: list[int] = []

    def make(repeats: dict[str, list[object]]) -> int:
        made.append(len(repeats["a"]))
        return len(made)

    one = arrays(Visit("v", "c0008", 1), np.ones(100))
    assert once.once(make, {"a": [one]}) == 1
    assert once.once(make, {"a": [one]}) == 1
    two = replace(one)
    assert once.once(make, {"a": [two]}) == 2
    # Repeats are large, and kept elsewhere: nothing is held of one that was let go.
    before = len(gc.get_referrers(one))
    once.once(make, {"a": [one]})
    assert len(gc.get_referrers(one)) == before


def test_a_difference_is_made_again_when_any_profile_is_written_again(runs: list[str]) -> None:
    path = data.results() / runs[1]
    for level in ("c0008", "c0032"):
        gallery.profile(path, level)
    asked = ("c0032", "optimized", "baseline")
    before = data.flame(load(path), *asked)
    assert data.flame(load(path), *asked) is before
    assert before.because
    # The noise is seen from the copies at all levels.
    copy = path / "profiles/baseline.aa/c0008.txt"
    copy.write_text(copy.read_text().replace(" 20", " 90"))
    after = data.flame(load(path), *asked)
    assert after.document["threshold"] != before.document["threshold"]


def test_a_thing_larger_than_all_room_does_not_empty_it() -> None:
    kept: Kept[str] = Kept(most_bytes=10, most=3)
    kept.keep("a", "A", 4)
    kept.keep("b", "B", 11)
    assert (kept.get("a"), kept.get("b")) == ("A", None)
