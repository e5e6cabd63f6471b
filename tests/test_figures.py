"""Figures say what the analysis says, in every theme, for every name, and never overlap."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from math import isclose, log10
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import changes, frames
from analysis.asked import Asked
from analysis.catalogue import Entry
from analysis.cells import THROUGHPUT
from analysis.compare import Value
from analysis.comparison import Comparison, compare
from analysis.curve import closed
from analysis.figures import figure as files
from analysis.figures import style
from analysis.figures.axes import Rows, fine_span, log_ticks, ratio_span, span
from analysis.figures.curves import throughput_latency
from analysis.figures.distributions import by_percentile, ecdf
from analysis.figures.figure import Figure, inline_svg, themed
from analysis.figures.heat_map import heat_map
from analysis.figures.labels import Box, sides, spread
from analysis.figures.over_time import over_time, rates_over_time
from analysis.figures.past import history
from analysis.figures.ratio_map import ratio_map
from analysis.figures.ratios import ratios
from analysis.figures.scaling import usl
from analysis.figures.shift import shift
from analysis.figures.stages import stage_bars
from analysis.figures.waterfall import waterfall
from analysis.frames import Repeat
from analysis.history import History, Point
from analysis.interval import over_repeats
from analysis.kept import Kept, kept
from analysis.latency import percentile
from analysis.objective import parse
from analysis.usl import Scaling, scaling
from analysis.words import measured, plain
from benchmarks.record import Visit, clients_level, load
from tests.golden import DEMO
from tests.loads import matrix, visited
from tests.records import Shape, arrays, campaign, with_cell, write

ROOT = Path(__file__).parent.parent
HOSTILE = "<script>alert('&\")]]> & {{7*7}} \u202e"
LONG = "optimized-with-orjson-and-uvloop-and-pooled-clients_and.more"
SLO = parse("p95=30ms")
STAGES = {"decode": 3.0, "infer": 9.0}
SHAPE = Shape(median_ms=20, requests=120, noise=0.02, stages=STAGES)


@pytest.fixture(scope="module")
def demo() -> Comparison:
    return compare(load(DEMO))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """Ten variants, time-outs, a 1,000-fold difference, a cell that was never measured."""
    names = ["baseline", HOSTILE, LONG, *(f"variant-{n}" for n in range(7))]
    variants = {name: replace(SHAPE, median_ms=20 + place) for place, name in enumerate(names)}
    plan = campaign(variants, ("c0001", "c0008", "c0064", "q0050"), repeats=2)
    plan = with_cell(plan, LONG, "c0008", median_ms=0.02, send_lag_ms=0.0)
    plan = with_cell(plan, HOSTILE, "c0008", timeouts=60)
    plan = with_cell(plan, HOSTILE, "c0064", repeats=0)
    plan = with_cell(plan, "variant-0", "c0001", requests=20)
    plan = with_cell(plan, "variant-1", "c0001", errors=30)
    return compare(load(write(tmp_path_factory.mktemp("hostile"), plan)), slo=SLO)


def repeats_of(comparison: Comparison, level: str) -> dict[str, list[Repeat]]:
    record, found = comparison.record, dict[str, list[Repeat]]()
    for visit in record.completed():
        if visit.level == level:
            found.setdefault(visit.variant, []).append(frames.read(record, visit))
    return found


def every_figure(comparison: Comparison) -> Iterable[Figure]:
    """One of each kind that a record gives."""
    plan = comparison.plan
    looks, level = style.looks(plan.variants, plan.aa), plan.levels[-1]
    repeats = repeats_of(comparison, level)
    variant = plan.judged[-1]
    yield heat_map(comparison, "p95", SLO)
    yield heat_map(comparison, THROUGHPUT)
    yield throughput_latency(comparison, "p95", SLO)
    yield ratios(comparison)
    yield ratio_map(comparison, "p95")
    yield usl(comparison)
    yield by_percentile(repeats, looks)
    yield ecdf(repeats, looks, 30.0)
    yield shift(repeats, variant, plan.reference, plan.margin, looks[variant])
    yield over_time(repeats[variant][0])
    yield rates_over_time(repeats[variant][0])
    for shares in (False, True):
        bars = stage_bars(comparison, "p95", shares=shares)
        assert bars is not None
        yield bars
    explained = comparison.matrix.explain(variant, level, "p50")
    assert explained is not None
    yield waterfall(explained, plan.reference, variant, "here")


@pytest.fixture(scope="module", params=["demo", "hostile"])
def figures(request: pytest.FixtureRequest) -> list[Figure]:
    return list(every_figure(request.getfixturevalue(request.param)))


def texts(svg: str) -> list[str]:
    root = ElementTree.fromstring(svg)
    return ["".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")]


def test_every_figure_has_its_words_and_its_numbers(figures: list[Figure]) -> None:
    for figure in figures:
        assert re.fullmatch(r"[a-z0-9.-]+", figure.name)
        assert figure.title
        assert figure.explained.endswith(".")
        assert figure.alt.endswith(".")
        assert figure.table.num_rows > 0
        header = files.csv(figure).decode().splitlines()[0].replace('"', "").split(",")
        assert header == figure.table.column_names
        assert files.parquet(figure).startswith(b"PAR1")


def test_every_figure_is_one_sound_svg_that_asks_for_nothing(figures: list[Figure]) -> None:
    ids = []
    for place, figure in enumerate(figures):
        svg = inline_svg(figure, prefix=f"f{place}-")
        root = ElementTree.fromstring(svg)
        assert root.get("role") == "img"
        assert root.get("aria-label") == figure.alt
        kinds = {element.tag.rpartition("}")[2] for element in root.iter()}
        assert not kinds & {"script", "image", "a", "foreignObject", "style", "use"}
        assert re.findall(r'https?://(?!www\.w3\.org/)[^"]*', svg) == []
        ids += [element.get("id") for element in root.iter() if element.get("id")]
        # What is no data takes the page's colours, in light and in dark.
        assert not [tone for tone in style.LIGHT.values() if f'"{tone}"' in svg]
    assert len(ids) == len(set(ids))


def test_a_hostile_name_is_text_and_nothing_is_cut_from_a_long_one(hostile: Comparison) -> None:
    for figure, characters in (
        (heat_map(hostile, "p50"), 26),
        (ratios(hostile), 26),
        (throughput_latency(hostile, "p50"), 18),
    ):
        written = set(texts(inline_svg(figure)))
        for name in (HOSTILE, LONG):
            # White space at a line's end is none that is seen.
            lines = {line.strip() for line in style.wrapped(name, characters)}
            assert lines <= {text.strip() for text in written}


def test_a_file_of_its_own_says_what_it_is_in_both_themes(demo: Comparison) -> None:
    figure = heat_map(demo, "p95")
    light, dark = files.svg(figure), files.svg(figure, dark=True)
    assert figure.title in texts(light)
    assert f'fill="{style.LIGHT["surface"]}"' in light
    assert f'fill="{style.DARK["surface"]}"' in dark
    assert files.png(figure).startswith(b"\x89PNG")


def test_a_chart_fills_its_place_and_needs_nothing_that_the_app_cannot_take(
    figures: list[Figure],
) -> None:
    for figure in figures:
        spec = themed(figure, dark=True).to_dict()
        assert spec["width"] == "container"
        assert spec["autosize"] == {"type": "fit-x", "contains": "padding"}
        assert spec["config"]["background"] == "transparent"
        marks = sum(len(rows) for rows in spec.get("datasets", {}).values())
        marks += sum(len(layer.get("data", {}).get("values", [])) for layer in spec["layer"])
        assert marks < 8000


def contrast(first: str, second: str) -> float:
    """WCAG 2.2."""

    def luminance(colour: str) -> float:
        channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("tone", [style.LIGHT, style.DARK], ids=["light", "dark"])
def test_lines_stand_out_from_the_page_and_text_more_so(tone: dict[str, str]) -> None:
    for colour in (*style.VARIANTS, style.COPY):
        assert contrast(colour, tone["surface"]) >= 3
    assert contrast(tone["muted"], tone["surface"]) >= 4.5
    assert contrast(tone["muted"], tone["shade"]) >= 4.5


@given(st.floats(0, 1), st.sampled_from([style.CIVIDIS, style.PUOR]))
def test_a_label_is_readable_on_every_colour_of_a_scale(
    place: float, stops: tuple[str, ...]
) -> None:
    colour = style.ramp(place, stops)
    assert contrast(style.label_on(colour), colour) >= 4.5


def test_no_two_variants_look_alike_and_a_copy_is_grey() -> None:
    names = [f"v{n}" for n in range(16)]
    looks = style.looks([*names, "v3.aa"], "v3.aa")
    assert len({(look.colour, look.dash) for look in looks.values()}) == 17
    assert looks["v3.aa"].colour == style.COPY
    assert looks["v3.aa"].shape == looks["v3"].shape
    # Shapes tell variants apart without any colour.
    assert len({looks[name].shape for name in names[:8]}) == 8


@given(st.text(max_size=80), st.integers(5, 30))
def test_a_wrapped_name_is_the_whole_name(name: str, characters: int) -> None:
    lines = style.wrapped(name, characters)
    assert "".join(lines) == plain(name)
    assert all(len(line) <= characters for line in lines)


@given(st.floats(1e-3, 1e5), st.floats(1.5, 1e6))
def test_log_ticks_are_1_2_or_5_of_a_decade(low: float, ratio: float) -> None:
    ticks = log_ticks(low, low * ratio)
    for tick in ticks:
        assert low <= tick <= low * ratio
        assert any(isclose(tick, step * 10 ** round(log10(tick / step))) for step in (1, 2, 5))
    assert len(ticks) <= 13
    assert ratio < 2.5 or ticks


def test_an_axis_begins_at_zero_unless_values_differ_by_much() -> None:
    near, far = span([20, 30]), span([20, 3000])
    assert (near.low, near.log) == (0, False)
    assert far.log
    assert 0 < far.low < 20


@given(st.lists(st.floats(0.01, 1e4), min_size=1, max_size=20))
def test_every_value_lies_on_its_axis(values: list[float]) -> None:
    for axis in (span(values), fine_span(values)):
        assert all(0 <= axis.share(value) <= 1 for value in values)
        assert all(isclose(axis.at(axis.share(v)), v, rel_tol=1e-6) for v in values)
    assert fine_span(values).ticks


def test_1_is_never_at_the_edge_of_an_axis_of_ratios(demo: Comparison) -> None:
    found = [d.ratio for d in demo.matrix.differences if d.ratio]
    for some in (found, [replace(found[0], point=900.0, low=800.0, high=1000.0)]):
        assert 0.15 < ratio_span(some).share(1) < 0.85


@given(st.lists(st.tuples(st.floats(-50, 400), st.floats(5, 40)), min_size=1, max_size=9))
def test_labels_that_are_spread_do_not_overlap_and_stay_inside(
    wanted: list[tuple[float, float]],
) -> None:
    places, sizes = zip(*wanted, strict=True)
    middles = spread(places, sizes, 0, 400)
    rows = sorted(zip(middles, sizes, strict=True))
    for (above, size), (below, other) in pairwise(rows):
        assert below - above >= (size + other) / 2 - 1e-6
    assert min(m - s / 2 for m, s in rows) >= -1e-6
    assert max(m + s / 2 for m, s in rows) <= 400 + 1e-6


@given(st.lists(st.tuples(st.floats(0, 300), st.floats(0, 200)), min_size=1, max_size=30))
def test_a_label_beside_a_point_covers_no_point(points: list[tuple[float, float]]) -> None:
    edges = Box(-10, -10, 310, 210)
    found = list(sides(points, ["64"] * len(points), edges))
    assert len(found) == len(points)
    alone = list(sides(points[:1], ["64"], edges))
    assert alone != [None]


def test_a_heading_and_its_rows_lie_below_each_other() -> None:
    rows = Rows()
    rows.head("8 clients")
    first, second = rows.row("a", 24), rows.row(LONG, 24)
    assert first.bottom == second.top
    assert second.bottom == rows.height
    assert second.bottom - second.top > 24  # as many lines as the name takes


def test_a_heat_map_holds_the_values_of_the_tables(hostile: Comparison) -> None:
    table = heat_map(hostile, "p95", SLO).table.to_pylist()
    plan, cells = hostile.plan, hostile.matrix.cells
    assert len(table) == len(plan.variants) * len(plan.levels)
    places = [(v, level) for v in style.ordered(plan) for level in plan.levels]
    for row, place in zip(table, places, strict=True):
        cell = cells.get(place)
        value = cell.value("p95") if cell else None
        assert row["p95_ms"] == (value.value if value else None)
        assert row["shown"] == (measured(value, "p95") if cell else "")
        outcome = kept(cell, SLO).outcome if cell else None
        assert (row["slo"] == "holds") == (outcome is Kept.HOLDS)


def test_the_throughput_curve_has_a_point_for_each_cell_and_repeat(demo: Comparison) -> None:
    rows = throughput_latency(demo, "p95").table.to_pylist()
    medians = {(r["variant"], r["load"]): r["p95_ms"] for r in rows if r["repeat"] is None}
    value = demo.matrix.cells["optimized", "c0032"].value("p95")
    assert value is not None
    assert medians["optimized", "32 clients"] == value.value
    assert len(rows) == len(demo.matrix.cells) * (demo.plan.repeats + 1)


def test_at_most_eight_variants_and_the_copy_are_lines(hostile: Comparison) -> None:
    drawn = style.drawn(hostile.plan)
    assert len(drawn) == 9
    assert {"baseline", "baseline.aa"} <= set(drawn)
    figure = throughput_latency(hostile, "p50")
    assert "2 more variants are not drawn" in figure.explained
    assert set(figure.table["variant"].to_pylist()) == set(map(plain, drawn))


def test_latency_by_percentile_is_the_one_definition_and_ends_in_time(demo: Comparison) -> None:
    repeats = repeats_of(demo, "c0001")
    looks = style.looks(demo.plan.variants, demo.plan.aa)
    rows = by_percentile(repeats, looks).table.to_pylist()
    found = [percentile(r.response_ms, 95, r.censored).value_ms for r in repeats["seed"]]
    (at_p95,) = [r for r in rows if r["variant"] == "seed" and isclose(r["percentile"], 95)]
    assert at_p95["median_ms"] == np.median(found)
    assert (at_p95["lowest_ms"], at_p95["highest_ms"]) == (min(found), max(found))
    # P99 needs 368 requests in each repeat.
    assert max(row["percentile"] for row in rows) < 99


def test_a_line_ends_where_requests_were_given_up(hostile: Comparison) -> None:
    looks = style.looks(hostile.plan.variants, hostile.plan.aa)
    figure = by_percentile(repeats_of(hostile, "c0008"), looks)
    rows = [r for r in figure.table.to_pylist() if r["variant"] == plain(HOSTILE)]
    assert [row["at_least"] for row in rows].count(True) == 1
    assert rows[-1]["at_least"]
    assert "given up" in figure.explained


def test_failed_requests_are_never_answered(hostile: Comparison) -> None:
    looks = style.looks(hostile.plan.variants, hostile.plan.aa)
    rows = ecdf(repeats_of(hostile, "c0001"), looks).table.to_pylist()
    ends = {row["variant"]: row["median_share"] for row in rows}
    assert ends["variant-1"] == pytest.approx(90 / 120)
    assert ends["baseline"] == pytest.approx(1)


def test_a_shift_at_a_percentile_is_the_ratio_of_the_comparison(demo: Comparison) -> None:
    look = style.looks(demo.plan.variants, demo.plan.aa)["optimized"]
    rows = shift(repeats_of(demo, "c0032"), "optimized", "baseline", 0.05, look).table.to_pylist()
    (d,) = [
        d
        for d in demo.matrix.differences
        if (d.variant, d.level, d.measure) == ("optimized", "c0032", "p95")
    ]
    (row,) = [row for row in rows if row["percentile"] == 95]
    assert d.ratio is not None
    assert (row["ratio"], row["low"]) == pytest.approx((d.ratio.point, d.ratio.low))


def test_a_forest_has_every_ratio_with_its_verdict(hostile: Comparison) -> None:
    rows = ratios(hostile).table.to_pylist()
    known = [d for d in hostile.matrix.differences if d.ratio]
    assert len(rows) == len(known)
    assert {row["verdict"] for row in rows} == {str(d.verdict) for d in known}
    words = texts(inline_svg(ratios(hostile, ["p50"])))
    assert "▲ faster" in words
    assert "← faster" in words
    # More answers are faster: the other side.
    assert "faster →" in texts(inline_svg(ratios(hostile, [THROUGHPUT])))


def test_a_map_of_ratios_is_coloured_only_where_it_is_decided(demo: Comparison) -> None:
    figure = ratio_map(demo, "p50")
    assert [row["verdict"] for row in figure.table.to_pylist()].count("unresolved") == 1
    assert "unresolved" in texts(inline_svg(figure))


def test_stages_of_a_bar_add_up_to_the_whole(demo: Comparison) -> None:
    figure = stage_bars(demo, "p95")
    assert figure is not None
    rows = figure.table.to_pylist()
    mix = demo.matrix.cells["seed", "c0032"].mix("p95")
    assert mix is not None
    ours = [r for r in rows if (r["variant"], r["load"]) == ("seed", "32 clients")]
    assert sum(row["mean_ms"] for row in ours) == pytest.approx(sum(mix.values()))
    assert sum(row["share"] for row in ours) == pytest.approx(1)


def test_without_stages_there_are_no_bars() -> None:
    assert stage_bars(compare(load(ROOT / "tests/data/record-triton"))) is None


def test_a_waterfall_ends_where_the_difference_does(demo: Comparison) -> None:
    explained = demo.matrix.explain("optimized", "c0032", "p95")
    assert explained is not None
    rows = waterfall(explained, "baseline", "optimized", "x").table.to_pylist()
    *parts, total = rows
    assert total["stage"] == "total"
    assert sum(row["difference_ms"] for row in parts) == pytest.approx(total["difference_ms"])
    assert total["difference_ms"] == explained.total.ms


def test_tiles_over_time_count_every_answered_request_once() -> None:
    rng = np.random.default_rng(3)
    repeat = arrays(Visit("v", "c0008", 1), rng.lognormal(3, 0.5, 200_000), 60.0)
    figure = over_time(repeat)
    assert sum(figure.table["requests"].to_pylist()) == 200_000
    assert figure.table.num_rows <= 90 * 36
    assert len(inline_svg(figure)) < 700_000


def test_requests_given_up_are_counted_where_they_were_due(hostile: Comparison) -> None:
    (repeat, _) = repeats_of(hostile, "c0008")[HOSTILE]
    repeat = replace(repeat, failed_s=np.array([0.1, 0.2, 0.3]))
    assert "60 requests were given up" in over_time(repeat).explained
    rows = rates_over_time(repeat).table.to_pylist()
    step_s = rows[1]["from_s"] - rows[0]["from_s"]
    sums = {name: 0.0 for name in ("answered well", "given up", "failed at once")}
    for row in rows:
        sums[row["outcome"]] += row["requests_rps"] * step_s
    assert sums == pytest.approx({"answered well": 60, "given up": 60, "failed at once": 3})


def scaled() -> Comparison:
    """Seven levels of one variant that follows the law, and of one that grows in proportion."""
    rng, visits = np.random.default_rng(4), []
    for name, sigma, kappa in (("baseline", 0.1, 0.002), ("linear", 0.0, 0.0)):
        for n in (1, 2, 4, 8, 16, 32, 64):
            for block in (1, 2, 3, 4):
                rps = 50 * n / (1 + sigma * (n - 1) + kappa * n * (n - 1))
                rps *= float(np.exp(0.02 * rng.standard_normal()))
                visits.append(visited(clients_level(n), block, variant=name, rps=rps))
    return Comparison(load(DEMO), matrix(visits), (), None)


def test_a_curve_of_scaling_is_that_of_the_law() -> None:
    comparison = scaled()
    law = scaling(comparison.matrix, "baseline")
    assert isinstance(law, Scaling)
    figure = usl(comparison)
    rows = [
        r for r in figure.table.to_pylist() if r["variant"] == "baseline" and r["from"] == "law"
    ]
    assert [row["throughput_rps"] for row in rows] == pytest.approx(
        law.curve([row["clients"] for row in rows])[0]
    )
    assert "baseline: USL" in figure.explained
    levels = closed(comparison.plan.levels)
    ticks = [text for text in texts(inline_svg(figure)) if text in {"1", "4", "64"}]
    assert len(levels) == 7
    assert {"1", "4", "64"} == set(ticks)  # marked where it was measured


def past(runs: int, change_at: int) -> History:
    rng, points = np.random.default_rng(5), []
    for n in range(runs):
        level = 100.0 if n < change_at else 130.0
        found = [Value(level * float(np.exp(0.01 * rng.standard_normal()))) for _ in range(4)]
        interval = over_repeats(found)
        assert interval is not None
        entry = Entry(
            path=Path("x"),
            id=f"c/{n}",
            campaign="c",
            run=f"r{n}",
            started=f"2026-01-{n + 1:02d}T00:00:00Z",
            commit=f"{n:040x}",
        )
        points.append(Point(entry, Value(interval.point), interval, 4, 400, 0.0, None, 0.03))
    asked = Asked("c", HOSTILE, "c0008", "p95", "baseline", "machine", "key", {}, {})
    values = [point.value.value for point in points]
    seen = changes.find(values)
    return History(asked, tuple(points), (), seen, seen)


def test_a_history_shows_its_changes_with_their_ratio() -> None:
    figure = history(past(12, 7))
    assert figure.table.num_rows == 12
    said = [text for text in texts(inline_svg(figure)) if text.startswith("× ")]
    assert len(said) == 1
    assert 1.25 < float(said[0].removeprefix("× ")) < 1.35
    assert "since 2026-01-08" in figure.alt


def test_a_history_draws_bounds_as_bounds() -> None:
    whole = past(12, 7)
    points = [
        replace(point, value=replace(point.value, at_least=True)) if n > 9 else point
        for n, point in enumerate(whole.points)
    ]
    known = [point.bound(False) for point in points]
    seen = changes.find([point.value.value for point in points], known=known)
    figure = history(replace(whole, points=tuple(points), absolute=seen))
    drawn = texts(inline_svg(figure))
    assert drawn.count("↑") == 2
    assert next(text for text in drawn if text.startswith("× ")).startswith("× > 1.")
    assert figure.table["bound"].to_pylist() == ["exact"] * 10 + ["at least"] * 2
    assert "↑ is at least so much" in figure.explained
    assert "↑" not in history(whole).explained


def test_a_change_of_which_no_ratio_is_known_has_none() -> None:
    whole = past(12, 7)
    (change,) = whole.absolute.found
    without = replace(whole.absolute, found=(replace(change, ratio=None),))
    figure = history(replace(whole, absolute=without))
    assert "× ?" in texts(inline_svg(figure))
    assert "by which ratio is not known" in figure.alt


def test_a_history_of_imported_runs_says_what_they_do_not_tell() -> None:
    whole = past(6, 99)
    points = tuple(
        replace(point, entry=replace(point.entry, imported="k6", machine="unknown machine"))
        for point in whole.points
    )
    assert (
        "Caution, imported runs: the machine of 6"
        in history(replace(whole, points=points)).explained
    )
    assert "imported" not in history(whole).explained


@pytest.mark.parametrize("runs", [0, 1, 2])
def test_a_short_history_is_drawn_as_it_is(runs: int) -> None:
    figure = history(past(runs, 99))
    assert figure.table.num_rows == runs
    assert ElementTree.fromstring(inline_svg(figure)) is not None


def test_one_repeat_of_one_level_is_drawn_without_intervals(tmp_path: Path) -> None:
    plan = campaign({"baseline": SHAPE, "other": SHAPE}, ("c0008",), repeats=1)
    comparison = compare(load(write(tmp_path, plan)))
    for figure in every_figure(comparison):
        assert ElementTree.fromstring(inline_svg(figure)) is not None
    assert "unresolved" in ratios(comparison).alt


def test_what_cannot_be_drawn_says_why(tmp_path: Path) -> None:
    plan = campaign({"baseline": replace(SHAPE, requests=4)}, ("c0008",), aa=None)
    comparison = compare(load(write(tmp_path, plan)))
    assert "no variant can be compared" in "".join(texts(inline_svg(ratios(comparison))))
    said = texts(
        inline_svg(by_percentile(repeats_of(comparison, "c0008"), style.looks(["baseline"], None)))
    )
    assert said == ["no variant has enough requests for a percentile here"]


def test_commands_that_draw_nothing_do_not_wait_for_charts() -> None:
    code = "import sys, windtunnel, analysis.report_commands; print('altair' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert run.stdout.strip() == "False", run.stderr
