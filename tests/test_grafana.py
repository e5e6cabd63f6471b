"""
The dashboards as files: that they are what is generated, and hold together.

Most rules are those of Grafana's own dashboard-linter. That every panel has data stands in
test_observed.py.
"""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from grafana import names
from grafana.build import BOARDS, FOLDER, differences, wanted
from grafana.panels import ESTIMATE, GPU, WITHOUT
from grafana.variables import asked, filled
from service import telemetry
from tests.dashboards import DASHBOARDS, Json, Use, panels, targets, uses

ROOT = Path(__file__).parent.parent

# Seconds that stand for nothing else, so that a window can be recognized after it was filled in.
RATE_INTERVAL_S, RANGE_S, INTERVAL_S = 4321, 86413, 17
OF_TIME = {
    "__rate_interval": f"{RATE_INTERVAL_S}s",
    "__range": f"{RANGE_S}s",
    "__interval": f"{INTERVAL_S}s",
}
UNITS = {
    "Bps", "bytes", "celsius", "none", "ops", "percentunit", "reqps", "s", "short", "watt",
}  # fmt: skip
MOST_PANELS = 24

SERVICES = {metric.name: metric for metric in telemetry.METRICS}
PROCESS = {name for name in SERVICES if name.startswith("process_")}
# Which variable limits whose metrics to a job. What every exporter has may be either's.
JOBS = {
    **{name: {"job"} for name in SERVICES},
    **{name: {"job", "loadtests"} for name in PROCESS},
    **{name: {"triton"} for name in (*names.TRITON, names.TRITON_GPU, names.TRITON_GPU_MEMORY)},
    **{name: {"loadtests"} for name in names.LOADTESTS},
    **{name: {"node"} for name in names.NODE},
    **{name: {"gpu"} for name in names.GPU if name.startswith("DCGM")},
    **{name: {"job"} for name in names.RULES},
}
# These are about all jobs, or about none.
OF_ALL_JOBS = {*names.PROMETHEUS, names.RULE_OBJECTIVE}


def marked(dashboard: Json) -> dict[str, str]:
    """Values that show which variable they were filled in for."""
    return OF_TIME | {v["name"]: f"<{v['name']}>" for v in dashboard["templating"]["list"]}


def selectors(dashboard: Json) -> Iterator[tuple[str, Use]]:
    """Each selector of each query, and where it is."""
    for panel, target in targets(dashboard):
        for use in uses(filled(target["expr"], marked(dashboard))):
            yield f"{dashboard['title']}, {panel['title']}, {target['refId']}", use


def family(name: str) -> str:
    """The metric that a series belongs to: a histogram has three kinds of them."""
    histograms = [metric.name for metric in telemetry.METRICS if metric.kind == "histogram"]
    for histogram in (*histograms, names.LOAD_RESPONSE, names.LOAD_SERVICE, names.LOAD_LAG):
        if name in (f"{histogram}_bucket", f"{histogram}_sum", f"{histogram}_count"):
            return histogram
    return name


each = pytest.mark.parametrize("dashboard", DASHBOARDS.values(), ids=DASHBOARDS.keys())


def test_the_committed_dashboards_are_those_that_are_generated() -> None:
    assert differences(wanted()) == []


def test_a_difference_is_said_with_what_mends_it(tmp_path: Path) -> None:
    """The command as CI runs it, over a copy of the package in which a panel was edited by hand."""
    copy = tmp_path / "grafana"
    copy.mkdir()
    for file in (ROOT / "grafana").rglob("*.*"):
        if file.suffix in (".py", ".json"):
            place = copy / file.relative_to(ROOT / "grafana")
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(file.read_bytes())
    (tmp_path / "service").symlink_to(ROOT / "service")
    edited = copy / "dashboards/slo.json"
    edited.write_text(edited.read_text().replace('"Objective"', '"Edited"'))
    (copy / "dashboards/old.json").write_text("{}")
    command = [sys.executable, "-m", "grafana.build"]
    said = subprocess.run([*command, "--check"], cwd=tmp_path, capture_output=True, text=True)
    assert said.returncode == 1
    assert f"{edited}: not what is generated" in said.stderr
    assert '-      "title": "Edited",' in said.stderr
    assert "old.json: no dashboard is written there; remove it" in said.stderr
    assert "run `python -m grafana.build`" in said.stderr
    (copy / "dashboards/old.json").unlink()
    subprocess.run(command, cwd=tmp_path, check=True)
    assert subprocess.run([*command, "--check"], cwd=tmp_path).returncode == 0
    assert edited.read_bytes() == (FOLDER / "slo.json").read_bytes()


def test_titles_uids_and_files_are_unique() -> None:
    for found in (
        [d["uid"] for d in DASHBOARDS.values()],
        [d["title"] for d in DASHBOARDS.values()],
        [board.file for board in BOARDS],
    ):
        assert len(set(found)) == len(found) == len(names.UIDS)


@each
def test_a_dashboard_is_provisioned_and_not_edited(dashboard: Json) -> None:
    assert dashboard["schemaVersion"] == 42
    assert dashboard["editable"] is False
    assert dashboard["description"].endswith(".")
    assert dashboard["tags"] == ["windtunnel"]
    assert "id" not in dashboard  # Grafana's database gives it


@each
def test_the_data_source_and_the_job_are_chosen_above(dashboard: Json) -> None:
    source, *variables = dashboard["templating"]["list"]
    assert (source["name"], source["type"], source["query"]) == (
        "datasource",
        "datasource",
        "prometheus",
    )
    by_name = {variable["name"]: variable for variable in variables}
    assert "job" in by_name
    assert "instance" in by_name or dashboard["uid"] == names.UIDS["Objectives"]
    for variable in variables:
        query = variable["query"]["query"]
        assert query.startswith("label_values("), variable["name"]
        assert variable["datasource"]["uid"] == "${datasource}"
        assert variable["multi"]
        assert variable["includeAll"]
        assert variable["refresh"] == 2  # when the time range changes
    # `process_cpu_seconds_total` of any job at all would be everybody's.
    assert all("allValue" not in by_name[name] for name in by_name if name in job_variables())


def job_variables() -> set[str]:
    return set().union(*JOBS.values())


@each
def test_a_panel_says_what_it_is(dashboard: Json) -> None:
    titles = Counter(panel["title"] for panel in panels(dashboard))
    assert [title for title, times in titles.items() if times > 1] == []
    assert len(titles) <= MOST_PANELS
    for panel in panels(dashboard):
        name = panel["title"]
        assert name, panel["id"]
        assert panel["description"].endswith("."), name
        assert panel["description"].count(". ") >= 1 or len(panel["description"]) > 60, name
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, name
        assert panel["targets"], name
        assert panel["datasource"]["uid"] == "${datasource}", name
        for target in panel["targets"]:
            assert target["datasource"]["uid"] == "${datasource}", name
            assert target["legendFormat"] or panel["type"] == "table", name
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references), name


@each
def test_a_panel_of_percentiles_says_where_the_reported_ones_come_from(dashboard: Json) -> None:
    for panel in panels(dashboard):
        estimated = any("histogram_quantile" in target["expr"] for target in panel["targets"])
        assert (ESTIMATE in panel["description"]) >= estimated, panel["title"]


@each
def test_a_percentile_is_of_buckets_that_were_added_up_and_has_one_colour(dashboard: Json) -> None:
    colours = {"P50": "green", "P95": "orange", "P99": "red"}
    for panel, target in targets(dashboard):
        if "histogram_quantile" in target["expr"]:
            assert "_bucket{" in target["expr"], panel["title"]
            assert " by (le" in target["expr"] or ", le)" in target["expr"], panel["title"]
        percentile = target["legendFormat"].rpartition(" ")[2]
        if panel["type"] == "timeseries" and percentile in colours:
            rules = {
                rule["matcher"]["options"]: rule["properties"][0]["value"]
                for rule in panel["fieldConfig"]["overrides"]
            }
            fixed = rules[f"/(^| ){percentile}$/"]
            assert fixed == {"mode": "fixed", "fixedColor": colours[percentile]}, panel["title"]


@each
def test_a_rate_is_taken_over_the_rate_interval(dashboard: Json) -> None:
    for place, use in selectors(dashboard):
        if use.function in ("rate", "irate", "increase"):
            assert use.range_s == RATE_INTERVAL_S, place
        elif use.range_s is not None:
            assert (use.function, use.range_s) == ("changes", RANGE_S), place


@each
def test_a_counter_is_never_shown_as_it_stands(dashboard: Json) -> None:
    for place, use in selectors(dashboard):
        counter = (
            use.name.endswith("_total")
            or use.name in names.COUNTERS
            or family(use.name) != use.name
        )
        assert counter == (use.function in ("rate", "increase")), f"{place}: {use.name}"


@each
def test_a_query_asks_only_the_chosen_job_and_instance(dashboard: Json) -> None:
    variables = {v["name"] for v in dashboard["templating"]["list"]}
    for place, use in selectors(dashboard):
        name = family(use.name)
        if name in OF_ALL_JOBS:
            continue
        assert use.where.get("job") in {f"<{job}>" for job in JOBS[name]}, f"{place}: {name}"
        if name in SERVICES and "instance" in variables and use.where["job"] == "<job>":
            assert use.where["instance"] == "<instance>", f"{place}: {name}"


@each
def test_every_metric_is_one_that_somebody_has(dashboard: Json) -> None:
    known = JOBS.keys() | OF_ALL_JOBS
    for place, use in selectors(dashboard):
        assert family(use.name) in known, f"{place}: nobody has {use.name}"
    for variable in dashboard["templating"]["list"][1:]:
        series, label = asked(variable)
        (use,) = uses(filled(series, marked(dashboard)))
        assert use.name in known, variable["name"]
        if use.name in SERVICES:
            assert label in {"job", "instance", *SERVICES[use.name].labels}


@each
def test_a_label_of_the_service_is_one_that_its_metric_has(dashboard: Json) -> None:
    for place, use in selectors(dashboard):
        name = family(use.name)
        if name in SERVICES:
            labels = {"job", "instance", *SERVICES[name].labels}
            if SERVICES[name].kind == "histogram":
                labels.add("le")
            assert use.where.keys() <= labels, f"{place}: {name} has no such label"


def test_every_metric_of_the_service_is_shown() -> None:
    shown = {
        family(use.name) for dashboard in DASHBOARDS.values() for _, use in selectors(dashboard)
    }
    # A process' CPU and memory are the load generator's too: it is the service's that counts.
    assert SERVICES.keys() - shown == set()


def test_every_name_of_others_is_used() -> None:
    shown = {
        family(use.name) for dashboard in DASHBOARDS.values() for _, use in selectors(dashboard)
    }
    assert (JOBS.keys() | OF_ALL_JOBS) - shown == set()


def test_what_the_rules_record_is_what_is_asked_for() -> None:
    recorded = {
        rule["record"]
        for file in (ROOT / "prometheus/rules").glob("*.yml")
        for group in YAML(typ="safe").load(file)["groups"]
        for rule in group["rules"]
        if "record" in rule
    }
    assert set(names.RULES) - recorded == set()


def test_the_lines_at_the_objectives_are_where_the_objectives_are() -> None:
    slo = YAML(typ="safe").load(ROOT / "prometheus/slo.yml")
    objectives = {objective["slo"]: objective for objective in slo["objectives"]}
    assert objectives["availability"]["target"] == names.AVAILABILITY_OBJECTIVE
    assert objectives["latency"]["target"] == names.LATENCY_OBJECTIVE
    assert objectives["latency"]["within_s"] == names.LATENCY_OBJECTIVE_S
    assert names.LATENCY_OBJECTIVE_S in telemetry.SECONDS
    assert {alert["factor"] for alert in slo["burning"]} == set(names.BURN_RATES)
    windows = {alert[length] for alert in slo["burning"] for length in ("long", "short")}
    assert windows == set(names.BURN_WINDOWS)


@each
def test_links_lead_to_the_others_and_keep_time_and_choices(dashboard: Json) -> None:
    links = {link["url"]: link for link in dashboard["links"]}
    others = {f"/d/{d['uid']}" for d in DASHBOARDS.values()} - {f"/d/{dashboard['uid']}"}
    assert links.keys() == others
    for link in links.values():
        assert link["keepTime"]
        assert link["includeVars"]
        assert not link["targetBlank"]


def test_a_choice_means_the_same_on_every_dashboard() -> None:
    """Links carry choices over by their names."""
    variables: dict[str, Json] = {}
    for dashboard in DASHBOARDS.values():
        for variable in dashboard["templating"]["list"]:
            assert variables.setdefault(variable["name"], variable) == variable


@each
def test_no_panel_covers_another(dashboard: Json) -> None:
    """Folded rows count as a line; what is in them stands below it once it is unfolded."""
    rows = [panel for panel in dashboard["panels"] if panel["type"] == "row"]
    for together in (dashboard["panels"], *(row["panels"] for row in rows)):
        for a, b in combinations(together, 2):
            assert apart(a["gridPos"], b["gridPos"]), f"{a['title']} and {b['title']}"
    for row in rows:
        assert all(panel["gridPos"]["y"] > row["gridPos"]["y"] for panel in row["panels"])
        assert row["collapsed"] == bool(row["panels"])
    assert all(p["gridPos"]["x"] + p["gridPos"]["w"] <= 24 for p in panels(dashboard))
    numbers = [p["id"] for p in (*rows, *panels(dashboard))]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))


def apart(a: Json, b: Json) -> bool:
    beside: bool = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
    below: bool = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
    return beside or below


def test_a_panel_that_needs_a_gpu_says_so_and_no_other_asks_one() -> None:
    ours = {name for name in SERVICES if name.startswith("api_gpu_")}
    for board in BOARDS:
        dashboard = DASHBOARDS[board.file]
        needs = {panel.title: panel.needs for panel in board.panels}
        for panel in panels(dashboard):
            used = {
                family(use.name)
                for target in panel["targets"]
                for use in uses(filled(target["expr"], marked(dashboard)))
            }
            a_gpus = used & {*names.GPU, *ours}
            assert needs[panel["title"]] == (GPU if a_gpus else ""), panel["title"]
            assert a_gpus in (set(), used), panel["title"]
            assert (WITHOUT[GPU] in panel["description"]) == bool(a_gpus), panel["title"]


def test_the_cells_are_marked_on_every_dashboard() -> None:
    for dashboard in DASHBOARDS.values():
        (annotation,) = dashboard["annotations"]["list"]
        assert annotation["expr"] == f"{names.LOAD_RUN} == 1"
        assert annotation["enable"]
        assert {"{{cell}}", "{{campaign}}"} <= set(
            (annotation["titleFormat"] + " " + annotation["textFormat"]).replace(",", "").split()
        )


def test_the_readme_names_every_dashboard() -> None:
    text = (ROOT / "grafana/README.md").read_text()
    for board in BOARDS:
        assert f"| {board.title} |" in text
        assert f"`{board.file}.json`" in text
