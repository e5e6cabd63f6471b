"""
Writes the record of an import: in a folder whose name begins with a dot, until all of it is there.
"""

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import record
from benchmarks.imports import facts
from benchmarks.imports.facts import Imported, Plan
from benchmarks.imports.found import Found
from benchmarks.imports.given import Given
from benchmarks.imports.rows import rows
from benchmarks.imports.source import ForeignFileError, Source
from benchmarks.record import CELL, SAMPLES, Visit, level_title, shown
from benchmarks.recorder import explained, run_name, write_json
from loadtests import samples

REPEATS_MOST = 99


class Writer:
    """A record in the making; only one file's requests are in memory."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self._folder, self._plan = folder, plan
        self._repeats: Counter[tuple[str, str]] = Counter()
        self.imported: list[Imported] = []

    def add(self, given: Given, source: Source, found: Found) -> Imported:
        """Write one file's repeat; it is the next of its cell."""
        self._check_tool(source, found)
        visit = self._next(given, source, _level(given, source, found))
        files = tuple(_file(each) for each in (source, *map(Source, found.besides)))
        self._check_new(source, files)
        folder = self._folder / visit.folder
        with explained(self._folder):
            folder.mkdir(parents=True)
        counts = self._requests(source, found, folder)
        self.imported.append(Imported(visit, replace(found, requests=None), files, counts))
        return self.imported[-1]

    def finish(self, run: str) -> None:
        """Write what can be said when all repeats are there, and read it as everybody will."""
        self._check_levels()
        order = facts.in_order(self.imported)
        with explained(self._folder):
            for position, each in enumerate(order, 1):
                write_json(self._folder / each.visit.folder / CELL, facts.cell(each, position))
            write_json(self._folder / "run.json", facts.run(run, self._plan, order))
        record.load(self._folder)

    def _requests(self, source: Source, found: Found, folder: Path) -> dict[str, int]:
        """Write the sample file, if there can be one; how many requests had which outcome."""
        warmup_s = self._plan.warmup_s
        if found.requests is not None:
            table, window = rows(source, found, warmup_s)
            samples.write(folder / SAMPLES, table, window)
            counted = samples.accounting(table)
            return {name: counted[name] for name in samples.OUTCOMES}
        if warmup_s:
            raise source.wrong(
                "totals of a whole run, from which no warm-up can be cut",
                f"requests, as there is --warmup {warmup_s:g}s",
                "leave --warmup out",
            )
        assert found.reported is not None
        return dict(found.reported["counts"])

    def _next(self, given: Given, source: Source, level: str) -> Visit:
        self._repeats[given.variant, level] += 1
        visit = Visit(given.variant, level, self._repeats[given.variant, level])
        if visit.repeat > REPEATS_MOST:
            found = f"the {visit.repeat}th repeat of {given.variant}"
            raise source.wrong(found, f"at most {REPEATS_MOST}", "leave some files out")
        return visit

    def _check_tool(self, source: Source, found: Found) -> None:
        tools = {each.found.tool for each in self.imported}
        if tools - {found.tool}:
            raise source.wrong(
                f"results of {found.tool}",
                f"{' '.join(tools)}, as in the files before: tools do not begin their clocks at the"
                " same moment",
                "import each tool's results for themselves",
            )

    def _check_new(self, source: Source, files: tuple[dict[str, Any], ...]) -> None:
        """A copy is no repeat, and no other variant."""
        for each in self.imported:
            if each.files[0]["sha256"] == files[0]["sha256"]:
                visit = each.visit
                raise source.wrong(
                    f"the content of {each.files[0]['name']}, which is repeat {visit.repeat} of"
                    f" {visit.variant}",
                    "another measurement",
                    "correct the name, or leave it out",
                )

    def _check_levels(self) -> None:
        """Every variant has to meet the reference at one level at least."""
        levels: dict[str, set[str]] = {variant: set() for variant in self._plan.measured}
        for each in self.imported:
            levels[each.visit.variant].add(each.visit.level)
        reference = self._plan.reference
        for variant, own in levels.items():
            if not own & levels[reference]:
                raise ForeignFileError(
                    f"{reference} was measured with {_titles(levels[reference])}, {variant} with"
                    f" {_titles(own)}; expected a level that both have; if the load was the same,"
                    f" say it for both, as in {variant}@50/s=FILE or --rate 50"
                )


@contextmanager
def writing(results: Path, plan: Plan) -> Iterator[tuple[Writer, Path]]:
    """A writer, and where its record will lie; whatever goes wrong, nothing is left of it."""
    campaign, run = results / plan.name, run_name()
    partial = campaign / f".{run}.partial"
    new = [folder for folder in (campaign, *campaign.parents) if not folder.exists()]
    try:
        with explained(partial):
            partial.mkdir(parents=True)
        writer = Writer(partial, plan)
        yield writer, campaign / run
        writer.finish(run)
        with explained(partial):
            partial.rename(campaign / run)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        for folder in new:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        raise


def _level(given: Given, source: Source, found: Found) -> str:
    """The one that was given, else the file's; two numbers of clients are a slip."""
    level = given.level or found.level
    if level is None:
        raise source.wrong(
            f"{found.tool} does not tell at which load this was measured",
            "a level",
            f"add --clients 8 or --rate 50, or write {given.variant}@8={shown(source.path)}",
        )
    if found.level and {level[0], found.level[0]} == {"c"} and level != found.level:
        raise source.wrong(
            f"{found.tool} had {level_title(found.level)}",
            f"{level_title(level)}, as the command line says",
            "leave the number out, or correct it",
        )
    return level


def _file(source: Source) -> dict[str, Any]:
    # A name of bytes that are no text cannot stand in JSON as it is.
    name = os.fsencode(source.path.name).decode(errors="replace")
    return {"name": name, "sha256": source.sha256(), "bytes": source.size_bytes}


def _titles(levels: set[str]) -> str:
    return " and ".join(level_title(level) for level in sorted(levels))
