"""A result as Markdown: targets first, then a table for each part."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.peers import found
from benchmarks.peers.found import DISTURBED, LANGUAGE, OURS, WITH_SAMPLES
from benchmarks.peers.pacing import ACHIEVED
from benchmarks.peers.tools import TOOLS
from benchmarks.peers.truth import PERCENTILES

Row = Sequence[str]


def text(result: Mapping[str, Any]) -> str:
    """The whole report."""
    sections = [_head(result), _doubt(result), _targets(result)]
    made = {visit["part"] for visit in result["visits"]}
    for part, section in (("throughput", _throughput), ("pacing", _pacing), ("truth", _truth)):
        if part in made:
            sections.append(section(result))
    return "\n\n".join(section for section in (*sections, _failures(result)) if section)


def _head(result: Mapping[str, Any]) -> str:
    machine, commit = result["machine"], result["commit"]
    rounds = max((visit["round"] for visit in result["visits"]), default=0)
    medians = "One round" if rounds == 1 else f"Medians of {rounds} rounds"
    lines = [f"# triton_bench and its peers, {result['started']}", ""]
    if result["quick"]:
        lines += ["**A short run: for a look, not for numbers.**", ""]
    if result["cpus"]["server"] == result["cpus"]["generator"]:
        lines += ["**Server and generator share one CPU: the numbers say little.**", ""]
    if result["interrupted"]:
        lines += ["**Interrupted: what follows is what was measured until then.**", ""]
    sha = (commit["sha"] or "unknown")[:12] + (" with changes" if commit["dirty"] else "")
    lines += [
        f"{machine['cpu']}, {machine['threads']} CPUs, "
        f"{machine['virtualization'] or 'no hypervisor'}; "
        f"Linux {machine['kernel']}, {machine['os']}; load before {machine['load_before'][0]:g}. "
        f"Server on CPU {result['cpus']['server']}, "
        f"generator on CPU {result['cpus']['generator']}. {medians}, "
        f"order from seed {result['seed']}. Commit {sha}.",
        "",
    ]
    names = [tool.name for tool in TOOLS if tool.name in result["tools"]]
    rows = [(n, LANGUAGE[n], result["tools"][n]["version"], result["tools"][n]["source"])
            for n in names]  # fmt: skip
    rows += [(n, LANGUAGE[n], "**NOT COMPARED**", why) for n, why in result["missing"].items()]
    return "\n".join(lines) + "\n" + table(("tool", "language", "version", "from"), rows, "llll")


def _doubt(result: Mapping[str, Any]) -> str:
    """Above the tables, whether the generators had their CPU to themselves."""
    made = [visit for visit in result["visits"] if not visit["failure"]]
    disturbed = sum(visit["others_share"] > DISTURBED for visit in made)
    if not disturbed:
        return ""
    return (
        f"**In {disturbed} of {len(made)} visits, something else took more than {DISTURBED:.0%} of "
        "the generator's CPU: measure again on a quiet machine.**"
    )


def _targets(result: Mapping[str, Any]) -> str:
    rows = []
    for target in found.targets(result):
        word = {True: "met", False: "**MISSED**", None: "not measured"}[target.met]
        reason = target.reason if target.met is False else ""
        rows.append((target.name, target.found, word, reason))
    return "## Targets\n\n" + table(("target", "found", "", "reason"), rows, "llll")


def _throughput(result: Mapping[str, Any]) -> str:
    conditions = found.conditions(result, "throughput")
    head = ["tool", "language"]
    for condition in conditions:
        head += [condition, "lowest to highest", "of triton_bench", "CPUs: generator, server"]
    rows = []
    for tool in found.tools(result, "throughput"):
        row = [tool, LANGUAGE[tool]]
        for condition in conditions:
            row += _throughput_cells(result, condition, tool)
        rows.append(row)
    return (
        "## Requests per CPU-second of the generator, closed loop\n\n"
        + table(head, rows, "ll" + "rrrr" * len(conditions))
        + "\n\nUser and system time of the generator, its start included. 32 connections."
    )


def _throughput_cells(result: Mapping[str, Any], condition: str, tool: str) -> Row:
    middle, ours = (found.per_cpu_s(result, condition, name) for name in (tool, OURS))
    if middle is None:
        return ("failed", "", "", "")
    visits = found.visits(result, "throughput", condition, tool)
    values = [visit["requests_per_cpu_s"] for visit in visits]
    generator = found.middle(visits, lambda v: v["cpu_s"] / v["wall_s"]) or 0.0
    server = found.middle(visits, lambda v: v["server_share"]) or 0.0
    return (
        f"{middle:,.0f}",
        f"{min(values):,.0f} to {max(values):,.0f}",
        f"{middle / ours:.2f}" if ours else "",
        f"{generator:.2f}, {server:.2f}",
    )


def _pacing(result: Mapping[str, Any]) -> str:
    conditions = found.conditions(result, "pacing")
    head = ["tool", *(f"{c}: {name}" for c in conditions for name in ("P50", "P90", "P99"))]
    rows = []
    for tool in found.tools(result, "pacing"):
        kinds = [("lag_us", "")]
        if tool == WITH_SAMPLES:
            kinds += [("absolute_lag_us", ", against its known due times")]
        for kind, note in kinds:
            cells = [cell for c in conditions for cell in _lag_cells(result, c, tool, kind)]
            rows.append([tool.removesuffix(" --samples") + note, *cells])
    rows += [
        [tool.name, *["has no rate", "", ""] * len(conditions)]
        for tool in TOOLS
        if not tool.open_loop and tool.name in result["tools"]
    ]
    return (
        "## How late requests are sent, open loop, in microseconds\n\n"
        + table(head, rows, "l" + "rrr" * len(conditions))
        + "\n\nArrival at the server by the kernel's clock, less the evenly spaced schedule that "
        "fits the tool's own punctual requests. What all of its requests are late by is not in it, "
        "except in the row against known due times."
    )


def _lag_cells(result: Mapping[str, Any], condition: str, tool: str, kind: str) -> Iterator[str]:
    visits = found.visits(result, "pacing", condition, tool)
    achieved = found.middle(visits, lambda v: v["achieved"])
    if achieved is None:
        yield from ("failed", "", "")
    elif achieved < ACHIEVED:
        yield from (f"sent {achieved:.0%}", "", "")
    else:
        for name in ("p50", "p90", "p99"):
            lag = found.lag_us(result, condition, tool, name, kind)
            yield "" if lag is None else f"{lag:,.1f}" if lag < 100 else f"{lag:,.0f}"


def _truth(result: Mapping[str, Any]) -> str:
    sections = ["## What is reported of a server whose delays are known, in milliseconds"]
    for case in found.conditions(result, "truth"):
        rows = [_theory_row(result, case)]
        for tool in found.tools(result, "truth"):
            cells = [_reported(result, case, tool, name) for name in PERCENTILES]
            visits = found.visits(result, "truth", case, tool)
            loop = visits[0]["loop"] if visits else "failed"
            rows.append((tool, loop, *cells))
        sections.append(
            f"**{case}**\n\n" + table(("tool", "loop", "P50", "P95", "P99"), rows, "llrrr")
        )
    return "\n\n".join(sections)


def _theory_row(result: Mapping[str, Any], case: str) -> Row:
    visit = next(v for v in result["visits"] if v["condition"] == case and not v["failure"])
    return ("theory", "", *(f"{visit['theory_ms'][name]:,.1f}" for name in PERCENTILES))


def _reported(result: Mapping[str, Any], case: str, tool: str, name: str) -> str:
    visits = found.visits(result, "truth", case, tool)
    reported = found.middle(visits, lambda v: v["reported_ms"][name])
    off = found.error(result, case, tool, name)
    if reported is None or off is None:
        return "not reported" if visits else "failed"
    return f"{reported:,.1f} ({off:+.1%})"


def _failures(result: Mapping[str, Any]) -> str:
    failed = [visit for visit in result["visits"] if visit["failure"]]
    rows = [
        (v["tool"], f"{v['part']} {v['condition']}", str(v["round"]), v["failure"]) for v in failed
    ]
    rows += [
        (v["tool"], f"{v['part']} {v['condition']}", str(v["round"]),
         f"{v['reported_errors']} errors of {v['reported_requests']} requests, by its own report")
        for v in result["visits"]
        if not v["failure"] and v["reported_errors"]
    ]  # fmt: skip
    if not rows:
        return ""
    return "## Failures\n\n" + table(("tool", "where", "round", "what"), rows, "llrl")


def table(head: Row, rows: Sequence[Row], align: str) -> str:
    """Markdown."""
    rules = ["--:" if a == "r" else "---" for a in align]
    cells = [head, rules, *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(row) + " |" for row in cells)
