"""
Draw the dashboards from a live Prometheus where there is no Grafana: one page, in one file.

    python -m grafana.preview                                    all, the last 5 minutes
    python -m grafana.preview service --minutes 15 --out service.html

Grafana draws them otherwise. Every variable is at "all"; rows that Grafana folds up are open.
"""

import argparse
import json
import re
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import cycle
from math import inf
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

from grafana import drawing
from grafana.build import FOLDER
from grafana.drawing import Frame, Line, Mark
from grafana.panels import GPU, WITHOUT
from grafana.source import Refused, Source, Unreachable
from grafana.variables import everything, filled

Json = dict[str, Any]

PROMETHEUS = "http://127.0.0.1:9090"
FILES = {path.stem: path for path in sorted(FOLDER.glob("*.json"))}
# A panel is as many of these wide and high as its place says, less a gap: Grafana's own.
COLUMN, ROW, GAP, HEAD = 65, 38, 8, 28
LEGEND_SHARE = 0.35  # what a legend may take of a panel's height, before it is scrolled
LEGEND_ROW = 17
NOTE = (
    "Drawn from {} at {}, of the last {:g} minutes, by grafana/preview.py. Grafana draws these"
    " dashboards otherwise: this page is for looking at data and layout where there is none."
)
STYLE = """
body { font: 12px/1.35 "Inter", "DejaVu Sans", sans-serif; color: #24292e; background: #f4f5f5;
  width: 1552px; margin: 12px auto }
h1 { font-size: 20px; margin: 28px 0 2px } h2 { font-size: 14px; margin: 14px 0 6px }
p { margin: 2px 0 } nav a { margin-right: 12px } .note { color: #6a6a6a }
.grid { display: grid; grid-template-columns: repeat(24, 1fr); grid-auto-rows: 30px; gap: 8px }
.panel { background: #fff; border: 1px solid #d8d9da; border-radius: 2px; overflow: hidden;
  padding: 0 7px; position: relative; display: flex; flex-direction: column; min-width: 0 }
h3 { font-size: 12.5px; line-height: 26px; margin: 0; white-space: nowrap; overflow: hidden;
  text-overflow: ellipsis; cursor: help; flex: none }
.nothing { margin: auto; color: #8a8a8a; font-size: 14px } .error { margin: auto; color: #ad0317 }
svg { display: block; flex: none } svg text { font-size: 10.5px; fill: #5a5a5a }
.grid line { stroke: #e7e8e9 } .line { fill: none; stroke-width: 1.3; stroke-linecap: round }
.limit { stroke-dasharray: 6 5; stroke-width: 1.2 } .mark { fill: #a352cc; fill-opacity: .09 }
.exemplar { fill: #3274d9; fill-opacity: .55 }
.legend, .table { overflow: auto; min-height: 0 }
table { border-collapse: collapse; width: 100% }
td, th { text-align: right; padding: 0 6px; font-weight: normal; line-height: 17px;
  white-space: nowrap; font-variant-numeric: tabular-nums }
th { color: #5a5a5a } td:first-child, th:first-child { text-align: left; width: 99% }
.legend i { display: inline-block; width: 12px; height: 3px; margin: 0 6px 3px 0 }
.table td, .table th { text-align: left; padding: 3px 8px; width: auto }
.table tr { border-bottom: 1px solid #e7e8e9 }
.numbers { display: flex; flex: 1; justify-content: space-around; align-items: center }
.number { text-align: center; z-index: 1 } .number b { display: block; font-size: 32px;
  font-weight: 500; line-height: 40px }
.course { position: absolute; left: 0; bottom: 0 }
"""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A dashboard that is being drawn: what its queries are filled in with, and its marks."""

    source: Source
    board: Json
    step: float
    values: dict[str, str]
    marks: list[Mark]
    colours: dict[str, str] = field(default_factory=dict)
    unused: Iterator[str] = field(default_factory=lambda: cycle(drawing.PALETTE))

    def lines(self, panel: Json) -> list[Line]:
        """The series of a panel, with their names and colours."""
        made, asked = list[Line](), False
        for target in panel["targets"]:
            expression = filled(target["expr"], self.values)
            found = self.source.over_time(expression, self.step)
            made += [Line(named(target["legendFormat"], who), points) for who, points in found]
            if target.get("exemplar") and found and not asked:
                # All percentiles of a histogram have the same: those of its buckets.
                made[-1].exemplars, asked = self.source.exemplars(expression), True
        for line in made:
            self.style(line, panel)
        return made

    def style(self, line: Line, panel: Json) -> None:
        """What the panel fixes for a line; else a name has one colour on the whole dashboard."""
        for override in panel["fieldConfig"]["overrides"]:
            if re.search(override["matcher"]["options"].strip("/"), line.name):
                for each in override["properties"]:
                    if each["id"] == "color":
                        line.colour = drawing.colour(each["value"]["fixedColor"])
                    elif each["id"] == "custom.lineStyle":
                        line.dashed = each["value"]["fill"] == "dash"
        if not line.colour:
            if line.name not in self.colours:
                self.colours[line.name] = next(self.unused)
            line.colour = self.colours[line.name]

    def panel(self, panel: Json, top: int) -> Element:
        """A panel at its place, which is reckoned from the top of its row."""
        place = panel["gridPos"]
        area = f"{place['y'] - top + 1} / {place['x'] + 1} / span {place['h']} / span {place['w']}"
        made = Element("div", {"class": "panel", "style": f"grid-area: {area}"})
        SubElement(made, "h3", {"title": panel["description"]}).text = panel["title"]
        frame = Frame(
            place["w"] * COLUMN - GAP - 16, place["h"] * ROW - GAP - HEAD - 4,
            self.source.start, self.source.end,
        )  # fmt: skip
        try:
            parts = KINDS[panel["type"]](self, panel, frame)
        except Refused as error:
            SubElement(made, "p", {"class": "error"}).text = str(error)
            return made
        made.extend(parts)
        if not parts:
            needs_gpu = panel["description"].endswith(WITHOUT[GPU])
            nothing = SubElement(made, "p", {"class": "nothing"})
            nothing.text = "no data: needs a GPU" if needs_gpu else "no data"
        return made

    def section(self) -> Element:
        """The whole dashboard."""
        made = Element("section", {"id": self.board["uid"]})
        SubElement(made, "h1").text = self.board["title"]
        SubElement(made, "p").text = self.board["description"]
        chosen = SubElement(made, "p", {"class": "note"})
        shown = (v for v in self.board["templating"]["list"][1:] if not v.get("hide"))
        chosen.text = "; ".join(
            f"{v['label']}: {'all' if v.get('allValue') else self.values[v['name']]}" for v in shown
        )
        grid, top = made, 0
        for panel in self.board["panels"]:
            if panel["type"] == "row":
                folded = " (folded up in Grafana)" if panel["collapsed"] else ""
                SubElement(made, "h2").text = panel["title"] + folded
                grid, top = SubElement(made, "div", {"class": "grid"}), panel["gridPos"]["y"] + 1
            for each in panel["panels"] if panel["type"] == "row" else [panel]:
                grid.append(self.panel(each, top))
        return made


def named(template: str, labels: Mapping[str, str]) -> str:
    """A series as its legend calls it."""
    name = re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda found: labels.get(found[1], ""), template)
    return name or ", ".join(f"{label}={value}" for label, value in labels.items())


def timeseries(drawn: Drawn, panel: Json, frame: Frame) -> list[Element]:
    """Lines, and below them a table of their names with a mean, the most and the last."""
    lines = drawn.lines(panel)
    if not lines:
        return []
    unit = panel["fieldConfig"]["defaults"]["unit"]
    room = min((len(lines) + 1) * LEGEND_ROW, int(frame.height * LEGEND_SHARE))
    frame = Frame(frame.width, frame.height - room, frame.start, frame.end)
    legend = Element("div", {"class": "legend", "style": f"height: {room}px"})
    body = SubElement(legend, "table")
    header = SubElement(body, "tr")
    for heading in ("", "mean", "max", "last"):
        SubElement(header, "th").text = heading
    for line in ordered(lines, panel["options"]["legend"]):
        row = SubElement(body, "tr")
        name = SubElement(row, "td")
        SubElement(name, "i", {"style": f"background: {line.colour}"}).tail = line.name
        numbers = [value for _, value in line.points]
        for value in (sum(numbers) / len(numbers), max(numbers), numbers[-1]):
            SubElement(row, "td").text = drawing.text(value, unit)
    return [drawing.chart(lines, frame, panel, drawn.marks), legend]


def ordered(lines: list[Line], legend: Json) -> list[Line]:
    """As the panel sorts its legend."""
    if legend.get("sortBy") != "Max":
        return lines
    most = {id(line): max(value for _, value in line.points) for line in lines}
    return sorted(lines, key=lambda line: most[id(line)], reverse=legend.get("sortDesc", False))


def stat(drawn: Drawn, panel: Json, frame: Frame) -> list[Element]:
    """The last value of each series, large, over its course."""
    defaults = panel["fieldConfig"]["defaults"]
    made = Element("div", {"class": "numbers"})
    lines = drawn.lines(panel)
    for line in lines:
        last = line.points[-1][1]
        shade = drawing.reached(defaults["thresholds"]["steps"], last)
        one = SubElement(made, "div", {"class": "number"})
        one.text = line.name if len(lines) > 1 else ""
        value = SubElement(one, "b", {"style": f"color: {shade}"})
        value.text = drawing.text(last, defaults["unit"], defaults.get("decimals"))
        if len(lines) == 1:
            made.append(drawing.sparkline(line, frame.width + 16, frame.height / 3, shade))
    return [made] if lines else []


def heatmap(drawn: Drawn, panel: Json, frame: Frame) -> list[Element]:
    """Its buckets over time."""
    (target,) = panel["targets"]
    found = drawn.source.over_time(filled(target["expr"], drawn.values), drawn.step)
    buckets = {float(labels["le"]): points for labels, points in found}
    svg = drawing.heat(buckets, frame, panel["options"]["color"]["exponent"])
    return [] if svg is None else [svg]


def table(drawn: Drawn, panel: Json, _: Frame) -> list[Element]:
    """The queries side by side, a row for each combination of labels."""
    rows: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}
    options = {each["id"]: each["options"] for each in panel["transformations"]}
    names = options["organize"]["renameByName"]
    order = options["organize"]["indexByName"]
    units = {
        override["matcher"]["options"]: override["properties"][0]["value"]
        for override in panel["fieldConfig"]["overrides"]
    }
    for target in panel["targets"]:
        column = f"Value #{target['refId']}"
        for labels, value in drawn.source.at_once(filled(target["expr"], drawn.values)):
            row = rows.setdefault(tuple(sorted(labels.items())), dict(labels))
            row[column] = drawing.text(value, units[names[column]]) if column in names else ""
    if not rows:
        return []
    made = Element("div", {"class": "table"})
    body = SubElement(made, "table")
    columns = sorted(names, key=order.__getitem__)
    for row in (
        {column: names[column] for column in columns},
        *(rows[key] for key in sorted(rows)),
    ):
        line = SubElement(body, "tr")
        for column in columns:
            SubElement(line, "td" if len(body) > 1 else "th").text = row.get(column, "")
    return [made]


KINDS = {"timeseries": timeseries, "stat": stat, "heatmap": heatmap, "table": table}


def marks(source: Source, board: Json, step: float) -> list[Mark]:
    """What the dashboard's annotations mark."""
    return [
        Mark(named(each["titleFormat"], labels), points[0][0], points[-1][0])
        for each in board["annotations"]["list"]
        for labels, points in source.over_time(each["expr"], step)
    ]


def page(source: Source, boards: list[Json]) -> str:
    """The whole page; its policy forbids it to load or run anything."""
    html = Element("html", {"lang": "en"})
    head = SubElement(html, "head")
    SubElement(head, "meta", {"charset": "utf-8"})
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    SubElement(head, "meta", {"http-equiv": "Content-Security-Policy", "content": policy})
    SubElement(head, "title").text = "Preview of " + ", ".join(board["title"] for board in boards)
    SubElement(head, "style").text = STYLE
    body = SubElement(html, "body")
    moment = time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(source.end))
    note = SubElement(body, "p", {"class": "note"})
    note.text = NOTE.format(source.url, moment, source.seconds / 60)
    links = SubElement(body, "nav")
    step, of_time = source.of_time()
    for board in boards:
        SubElement(links, "a", {"href": f"#{board['uid']}"}).text = board["title"]
        values = everything(board, of_time, source.series)
        drawn = Drawn(source, board, step, values, marks(source, board, step))
        body.append(drawn.section())
    return "<!doctype html>\n" + tostring(html, encoding="unicode", method="html")


def board(name: str) -> Path:
    """The file of a dashboard."""
    if name not in FILES:
        raise argparse.ArgumentTypeError(f"{name}: none of {', '.join(FILES)}")
    return FILES[name]


def address(url: str) -> str:
    """Of a Prometheus."""
    if not url.startswith(("http://", "https://")):
        raise argparse.ArgumentTypeError(f"{url}: expected http://HOST:PORT")
    return url


def minutes(number: str) -> float:
    """How far back; more than nothing."""
    if not 0 < float(number) < inf:
        raise argparse.ArgumentTypeError(f"{number}: expected more than 0")
    return float(number)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m grafana.preview", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "dashboards", metavar="DASHBOARD", nargs="*", type=board, default=[*FILES.values()],
        help=f"of {', '.join(FILES)}; all of them if none is named",
    )  # fmt: skip
    add = parser.add_argument
    add("--prometheus", metavar="URL", type=address, default=PROMETHEUS, help="(%(default)s)")
    add("--minutes", metavar="N", type=minutes, default=5, help="how far back (%(default)s)")
    add("--out", metavar="FILE", type=Path, default="preview.html", help="(%(default)s)")
    wanted = parser.parse_args()
    source = Source(wanted.prometheus, time.time(), wanted.minutes * 60)
    try:
        drawn = page(source, [json.loads(path.read_text()) for path in wanted.dashboards])
    except Refused as error:
        return failed(f"{wanted.prometheus} does not answer as Prometheus does: {error}")
    except Unreachable as error:
        return failed(
            f"{error}; start `windtunnel serve --with prometheus`, or say where one is:"
            " --prometheus URL"
        )
    try:
        wanted.out.write_text(drawn)
    except OSError as error:
        return failed(f"--out {wanted.out}: {error.strerror}")
    print(wanted.out)
    return 0


def failed(reason: str) -> int:
    """Say so in one line."""
    print(reason, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
