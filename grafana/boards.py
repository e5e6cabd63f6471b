"""A dashboard: its variables, its links to the others, and where its panels stand."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    GridPos,
    VariableHide,
    VariableRefresh,
    VariableSort,
)

from grafana.names import DCGM_LOAD, LOAD_RUN, NODE_LOAD, RULE_OBJECTIVE, TRITON_SUCCESS, UIDS
from grafana.panels import SOURCE, Panel
from service import telemetry

WIDTH = 24
EVERYTHING = ".+"


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice above the panels, of the values that a label has."""

    name: str
    label: str
    series: str  # whose label
    of: str = ""  # the label, if it is not called as the variable is
    hidden: bool = False
    everything: str = ""  # what stands for all of them, if not their list

    def builder(self) -> dashboard.QueryVariable:
        """All values are chosen to begin with, and are looked up again when the time changes."""
        query = f"label_values({self.series}, {self.of or self.name})"
        made = dashboard.QueryVariable(self.name).label(self.label).datasource(SOURCE)
        made = made.query({"query": query, "refId": self.name}).definition(query)
        made = made.multi(True).include_all(True).sort(VariableSort.ALPHABETICAL_ASC)
        made = made.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        if self.everything:
            made = made.all_value(self.everything)
        return made.hide(VariableHide.HIDE_VARIABLE) if self.hidden else made


REQUESTS = telemetry.REQUESTS.name
OF_JOB = f'{REQUESTS}{{job=~"$job"}}'

# Jobs stand for lists of names and never for everything: others have metrics of the same names.
JOB = Variable("job", "Service", REQUESTS)
INSTANCE = Variable("instance", "Instance", OF_JOB, everything=EVERYTHING)
MODEL = Variable("model", "Model", OF_JOB, everything=EVERYTHING)
TRACK = Variable("track", "Track", OF_JOB, everything=EVERYTHING)
TRITON_JOB = Variable("triton", "Triton", TRITON_SUCCESS, of="job", hidden=True)
TRITON_MODEL = Variable(
    "triton_model",
    "Triton's model",
    f'{TRITON_SUCCESS}{{job=~"$triton"}}',
    of="model",
    everything=EVERYTHING,
)
LOADTESTS_JOB = Variable("loadtests", "Load generator", LOAD_RUN, of="job", hidden=True)
NODE_JOB = Variable("node", "Node exporter", NODE_LOAD, of="job", hidden=True)
MACHINE = Variable(
    "machine", "Machine", f'{NODE_LOAD}{{job=~"$node"}}', of="instance", everything=EVERYTHING
)
SLO = Variable("slo", "Objective", RULE_OBJECTIVE, everything=EVERYTHING)
GPU_JOB = Variable("gpu", "GPU exporter", DCGM_LOAD, of="job", hidden=True)


@dataclass(frozen=True, slots=True)
class Section:
    """A row of the dashboard; a collapsed one asks nothing until it is opened."""

    title: str
    panels: tuple[Panel, ...]
    collapsed: bool = False


@dataclass(frozen=True, slots=True)
class Board:
    """A dashboard, and its file's name."""

    file: str
    title: str
    description: str
    variables: tuple[Variable, ...]
    sections: tuple[Section, ...]
    since: str = "now-15m"

    @property
    def panels(self) -> list[Panel]:
        """All of them, from the top."""
        return [panel for section in self.sections for panel in section.panels]

    def json(self) -> str:
        """What Grafana provisions: the classic schema, which its releases 11 to 13 read."""
        drawn = json.loads(JSONEncoder().encode(self.built().build()))
        for each in (*drawn["links"], *drawn["annotations"]["list"]):
            del each["placement"]  # the builders hide them in a menu
        return json.dumps(drawn, sort_keys=True, indent=2, ensure_ascii=False) + "\n"

    def built(self) -> dashboard.Dashboard:
        """The dashboard with everything on it."""
        made = dashboard.Dashboard(self.title).uid(UIDS[self.title]).description(self.description)
        made = made.tags(["windtunnel"]).readonly().refresh("10s").time(self.since, "now")
        made = made.tooltip(DashboardCursorSync.CROSSHAIR).timezone("browser")
        source = dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")
        made = made.with_variable(source)
        for variable in self.variables:
            made = made.with_variable(variable.builder())
        made = made.annotation(cells())
        for title, uid in UIDS.items():
            if title != self.title:
                made = made.link(link(title, uid))
        return placed(made, self.sections)


def cells() -> dashboard.AnnotationQuery:
    """Which cell was measured when: where its gauge is 1, it is the measured time."""
    made = dashboard.AnnotationQuery().name("Cells").datasource(SOURCE).enable(True)
    made = made.icon_color("purple").expr(f"{LOAD_RUN} == 1").step("5s")
    return made.title_format("{{cell}}").text_format("{{campaign}}, repeat {{repeat}}, {{run}}")


def link(title: str, uid: str) -> dashboard.DashboardLink:
    """To another dashboard, for the same time and the same choices."""
    made = dashboard.DashboardLink(title).type(DashboardLinkType.LINK).url(f"/d/{uid}")
    return made.keep_time(True).include_vars(True).icon("dashboard").tooltip(f"To {title}")


def placed(made: dashboard.Dashboard, sections: Sequence[Section]) -> dashboard.Dashboard:
    """The sections below each other. A collapsed one takes one line until it is opened."""
    top, number = 0, 1
    for section in sections:
        row = dashboard.Row(section.title).id(number)
        row = row.grid_pos(GridPos(h=1, w=WIDTH, x=0, y=top))
        places = flow(section.panels, top + 1)
        builders = [
            panel.builder.grid_pos(place).id(number + 1 + i)
            for i, (panel, place) in enumerate(zip(section.panels, places, strict=True))
        ]
        if section.collapsed:
            for builder in builders:
                row = row.with_panel(builder)
        made = made.with_row(row)
        if not section.collapsed:
            for builder in builders:
                made = made.with_panel(builder)
        top = top + 1 if section.collapsed else max(place.y + place.h for place in places)
        number += 1 + len(builders)
    return made


def flow(panels: Sequence[Panel], top: int) -> list[GridPos]:
    """From left to right, and where the width is used up on the next line."""
    places, left, bottom = [], 0, top
    for panel in panels:
        if left + panel.width > WIDTH:
            left, top = 0, bottom
        places.append(GridPos(h=panel.height, w=panel.width, x=left, y=top))
        left, bottom = left + panel.width, max(bottom, top + panel.height)
    return places
