"""A record read piece by piece."""

from pathlib import Path

import numpy as np
import pytest

from analysis import opened
from analysis.cells import Visited
from analysis.frames import Repeat
from benchmarks.record import Visit
from tests import gallery
from tests.records import Shape, campaign, write

PLAN = campaign({"baseline": Shape(requests=50)}, levels=("c0001",), repeats=2)


def test_a_visit_is_read_with_its_requests(tmp_path: Path) -> None:
    found = opened.opened(write(tmp_path, PLAN))
    read = opened.read(found, Visit("baseline", "c0001", 2))
    assert isinstance(read, Repeat)
    assert (read.variant, read.repeat, len(read.response_ms)) == ("baseline", 2, 50)
    assert np.all(read.response_ms > 0)


def test_a_visit_that_another_tool_summed_up_has_no_requests(tmp_path: Path) -> None:
    found = opened.opened(tmp_path / gallery.imported(tmp_path))
    for visit in found.completed():
        read = opened.read(found, visit)
        assert isinstance(read, Visited)
        assert (read.variant, read.level) == (visit.variant, visit.level)


def test_the_stamp_changes_with_a_visits_files_alone(tmp_path: Path) -> None:
    found = opened.opened(write(tmp_path, PLAN))
    first, second = (Visit("baseline", "c0001", repeat) for repeat in (1, 2))
    before = opened.stamp(found, first), opened.stamp(found, second)
    cell = found.path / first.folder / "cell.json"
    cell.write_text(cell.read_text() + "\n")
    assert opened.stamp(found, first) != before[0]
    assert opened.stamp(found, second) == before[1]


def test_a_record_that_is_none_is_one_of_the_problems(tmp_path: Path) -> None:
    with pytest.raises(opened.PROBLEMS, match=r"no run\.json here or below"):
        opened.opened(tmp_path)
