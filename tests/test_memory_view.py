"""The memory view: real memray around the real service."""

import re
from pathlib import Path

import pytest

from benchmarks import campaign as campaigns
from benchmarks.processes import RunError
from benchmarks.profiles import memory
from tests.test_profiling import profile
from tests.tiny import ROOT


@pytest.mark.alone
def test_a_memory_view_says_the_peak_and_what_a_request_allocates(tmp_path: Path) -> None:
    output = tmp_path / "memory.html"
    words = ("--memory", "--duration", 1, "--clients", 2, "--output", output)
    said = profile("--variant", "baseline", "--track", "null", *words)
    peak = re.search(r"peak ([\d.]+) MiB", said)
    assert peak
    assert 50 < float(peak[1]) < 2000
    each = re.search(r"([\d,]+) allocations a request \(([\d.]+) MiB.*in (\d+) requests", said)
    assert each
    assert 100 < int(each[1].replace(",", "")) < 10_000, "without those of the start"
    assert 0.5 < float(each[2]) < 100, "a photo is decoded, copied and made a tensor"
    page = output.read_text()
    assert "detection.py" in page
    assert str(ROOT) not in page
    assert not re.search(r"<(script|link)[^>]+(src|href)=.?https?:", page), "it needs no network"
    assert [path.name for path in tmp_path.iterdir()] == ["memory.html"]


def test_a_service_of_others_has_no_memory_view() -> None:
    values = {"name": "x", "variants": {"there": {"url": "http://h/x"}}, "clients": [1]}
    campaign = campaigns.accept("x", values)
    with pytest.raises(RunError, match="'there': a url; expected a variant that is started here"):
        memory.alone(campaign, "there")


def test_a_variant_that_memray_cannot_run_is_refused_before_its_environment_is_made() -> None:
    values = {"name": "x", "variants": {"seed": {"preset": "seed"}}, "clients": [1]}
    with pytest.raises(RunError, match="environment 'simd', where memray is not"):
        memory.alone(campaigns.accept("x", values), "seed")


def test_a_memory_view_is_of_one_process() -> None:
    settings = {"preset": "baseline", "SERVICE_WORKERS": 5, "SERVICE_RECYCLE_REQUESTS": 9}
    campaign = campaigns.accept("x", {"name": "x", "variants": {"many": settings}, "clients": [1]})
    environ = memory.alone(campaign, "many").variants["many"].environ
    assert environ == {"SERVICE_PRESET": "baseline", **memory.ALONE}
