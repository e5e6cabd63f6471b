"""What Locust's measuring is made of, without Locust: bodies, stages, options, summary numbers."""

import dataclasses
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from benchmarks.campaign import Campaign
from loadtests import labels, payloads, samples, traces
from loadtests.locust_bench import options, plans
from loadtests.locust_bench.footer import Footer
from loadtests.locust_bench.server_timing import stages_us
from loadtests.locust_bench.summary import latency_ms, reasons
from loadtests.locust_bench.tally import LAGS_S, TIMES_S, Tally, packed, together, unpacked
from service import telemetry

ROOT = Path(__file__).parent.parent
STAGE = {name: number for number, name in enumerate(samples.STAGES)}


def test_a_form_is_the_one_that_triton_bench_sends(tmp_path: Path) -> None:
    file = tmp_path / 'a"b.jpg'
    file.write_bytes(b"\xff\xd8 bytes")
    (form,) = payloads.build([file], "multipart")
    edge = payloads.BOUNDARY.encode()
    assert form.content_type == f"multipart/form-data; boundary={payloads.BOUNDARY}"
    assert form.body == (
        b"--" + edge + b'\r\nContent-Disposition: form-data; name="image"; filename="a%22b.jpg"\r\n'
        b"Content-Type: image/jpeg\r\n\r\n\xff\xd8 bytes\r\n--" + edge + b"--\r\n"
    )
    (raw,) = payloads.build([file], "raw")
    assert (raw.content_type, raw.body) == ("image/jpeg", b"\xff\xd8 bytes")


def test_the_boundary_is_triton_benchs() -> None:
    sources = (ROOT / "loadtests/triton_bench").rglob("*.go")
    assert any(f'"{payloads.BOUNDARY}"' in source.read_text() for source in sources)


def test_images_are_those_of_the_folder_by_name(tmp_path: Path) -> None:
    for name in ("b.PNG", "a.jpg", "LICENSES.md"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "large.jpg").mkdir()
    assert [file.name for file in payloads.image_files(tmp_path)] == ["a.jpg", "b.PNG"]
    assert [file.name for file in payloads.image_files(tmp_path, 1)] == ["a.jpg"]
    for wrong in (tmp_path / "nothing", tmp_path / "large.jpg"):
        with pytest.raises(payloads.PayloadError, match=r"expected"):
            payloads.image_files(wrong)
    (tmp_path / "a.jpg").write_bytes(payloads.BOUNDARY.encode())
    with pytest.raises(payloads.PayloadError, match="use --body raw"):
        payloads.build([tmp_path / "a.jpg"], "multipart")


def test_each_client_has_an_order_of_its_own_from_the_seed() -> None:
    def first(seed: int, client: str) -> list[int]:
        return list(islice(payloads.order(seed, client, 16), 32))

    assert first(1, "0.0") == first(1, "0.0")
    assert sorted(first(1, "0.0")[:16]) == list(range(16)), "each image once before one comes again"
    assert len({tuple(first(seed, c)) for seed in (1, 2) for c in ("0.0", "0.1", "1.0")}) == 6


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("queue;dur=0.190, infer;dur=14.042, total;dur=20", {"queue": 190, "infer": 14042}),
        ("decode;dur=1,decode;dur=2", {"decode": 3000}),
        ('infer;desc="a, b;dur=9";dur=2, db;dur=1', {"infer": 2000}),
        ("infer;DUR = 2", {"infer": 2000}),
        ("infer", {}),
        ("infer;dur=soon, queue;dur=-1, decode;dur=nan", {}),
        ("infer;dur=1e30", {"infer": 2**31 - 1}),
        ('";,', {}),
        (["queue;dur=1", "infer;dur=2"], {"queue": 1000, "infer": 2000}),
    ],
)
def test_stages_are_read_as_triton_bench_reads_them(
    field: str | list[str], expected: dict[str, int]
) -> None:
    found = stages_us(field)
    assert {name: found[number] for name, number in STAGE.items() if found[number] is not None} == (
        expected
    )


def test_durations_and_lists_as_they_are_typed() -> None:
    texts = {"10": 10.0, "10s": 10.0, "500ms": 0.5, "2m": 120.0, "1.5h": 5400.0, "0": 0.0}
    assert {text: options.duration_s(text) for text in texts} == texts
    assert plans.clients_list("1, 8,32") == [1, 8, 32]
    assert options.mix("/a?track=null=2,/b=0.5") == {"/a?track=null": 2.0, "/b": 0.5}
    wrong: list[tuple[Callable[[str], object], str]] = [
        (options.duration_s, "-1s"),
        (options.positive_s, "0"),
        (options.whole, "-1"),
        (options.mix, "/a"),
        (options.mix, "/a=0"),
        (options.mix, "//a=1"),
        (options.share, "1.5"),
        (options.share, "nan"),
        (labels.checked, "campaign"),
        (labels.checked, "1st=x"),
        (labels.checked, "__name=x"),
        (labels.checked, "clients=8"),
        (labels.checked, "cell=\udcff"),
        (plans.clients_list, "1,0"),
        (plans.step_time_s, "0.5s"),
    ]
    for read, text in wrong:
        with pytest.raises(ArgumentTypeError, match="expected"):
            read(text)


@pytest.mark.parametrize(
    ("given", "distributed", "expected"),
    [
        ({"min_requests": 9}, False, "without --duration"),
        ({"min_requests": 9, "duration_s": 1.0}, True, "use one process"),
        ({"duration_s": 1.0, "run_time": 2}, False, "expected one"),
        ({"duration_s": 1.0, "min_requests": 9}, False, None),
        ({"host": "https://h"}, False, "expected http"),
        ({"host": "h:80"}, False, "expected http"),
        ({"host": "http://"}, False, "expected http"),
        ({"host": "http://h:99999"}, False, "expected http"),
        ({"host": "http://h/a b"}, False, "expected http"),
        ({"host": "http://[::1]:80/a?b=c"}, False, None),
        ({"path": "predict"}, False, "--path predict: expected"),
        ({"path": "//predict"}, False, "--path //predict: expected"),
        ({"path": "/?track=null"}, False, None),
        ({"image": "nothing.jpg"}, False, "cannot be read"),
        ({"images": "tests/data"}, False, "no images among"),
        ({"samples": "tests"}, False, "--samples tests: cannot be written"),
        ({"labels": ["run=a", "run=b"]}, False, "--label run: given twice"),
        ({"labels": [f"run={'%' * 3000}"]}, False, "makes a baggage of 9013 bytes"),
        ({"labels": ["run=a", "repeat=1"], "metrics_addr": "127.0.0.1:0"}, False, None),
        ({"metrics_addr": "9646"}, False, "--metrics-addr 9646: expected HOST:PORT"),
        ({"metrics_addr": "h:99999"}, False, "expected HOST:PORT"),
        ({"metrics_addr": "h:1/metrics"}, False, "expected HOST:PORT"),
        ({"summary": "nowhere/s.json"}, False, "--summary nowhere/s.json: cannot be written"),
    ],
)
def test_options_that_cannot_work(
    given: dict[str, object], distributed: bool, expected: str | None
) -> None:
    parser = ArgumentParser()
    options.add_to(parser)
    plain = parser.parse_args([], Namespace(run_time=None, host=None))
    found = options.problem(Namespace(**{**vars(plain), **given}), distributed=distributed)
    assert found is None if expected is None else expected in str(found)


def test_a_percentile_is_observed_and_those_given_up_rank_above() -> None:
    times = np.arange(1, 101, dtype=np.int64) * 1_000_000
    given_up = times > 96_000_000
    found = latency_ms(times, given_up)
    assert found == {
        "p50": 50.0, "p95": 95.0, "p99": None, "max": 100.0, "mean": 50.5, "at_least": 4,
    }  # fmt: skip
    assert latency_ms(times[-40:], given_up[-40:])["p95"] is None, "too few"
    assert latency_ms(times[-40:], given_up[-40:] | True)["p50"] is None, "longer than all"
    assert latency_ms(times[:0], given_up[:0])["max"] is None


def test_a_process_is_as_busy_as_it_was_in_the_measured_time() -> None:
    second = 1_000_000_000
    footer = Footer(cpu=[(0, 5.0), (second, 5.0), (2 * second, 5.9), (4 * second, 6.1)])
    assert footer.busy_share(second, 2 * second) == pytest.approx(0.9)
    assert footer.busy_share(second * 3 // 2, 3 * second) == pytest.approx(0.55 / 1.5)
    assert footer.cpu_s == pytest.approx(1.1)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({}, []),
        ({"busiest_lane_share": 0.71}, ["CPU: the busiest of 1"]),
        ({"send_lag_p50_ms": 1.1}, ["send lag: half of the requests left 1.10 ms"]),
        ({"gc_pause_max_ms": 5.0, "gc_pause_share": 0.0009}, []),
        ({"gc_pause_max_ms": 5.0, "gc_pause_share": 0.0011}, ["garbage collection"]),
    ],
)
def test_it_says_when_it_was_itself_the_limit(found: dict[str, float], expected: list[str]) -> None:
    """A P50 of 20 ms lets a millisecond pass."""
    sound = {
        "busiest_lane_share": 0.7,
        "send_lag_p50_ms": 1.0,
        "gc_pause_max_ms": 1.0,
        "gc_pause_share": 0.5,
        "gomaxprocs": 1,
    }
    said = list(reasons({**sound, **found}, 20.0))
    assert len(said) == len(expected)
    assert all(text.startswith(start) for text, start in zip(said, expected, strict=True))


def test_a_campaigns_matrix_is_walked_in_a_seeded_order(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text("clients = [1, 8, 32]\nrepeats = 4\nduration_s = 1\nmin_requests = 72\n")
    found = plans.matrix(str(file), 5)
    assert found == plans.matrix(str(file), 5) != plans.matrix(str(file), 6)
    assert [step.name[:3] for step in found] == [f"r{n:02d}" for n in (1, 2, 3, 4) for _ in "abc"]
    for repeat in range(4):
        assert {step.clients for step in found[3 * repeat : 3 * repeat + 3]} == {1, 8, 32}
    assert {(s.warmup_s, s.duration_s, s.min_requests) for s in found} == {(2.0, 1.0, 72)}
    for text, expected in (
        ("rates = [5]", "has no clients"),
        ("clients = [1]\nduration_s = 0.1\nwarmup_s = 0", "raise duration_s"),
        ("= 1", "cannot be read"),
        ('clients = ["1"]', r"clients is \['1'\]; expected whole numbers from 1 on"),
        ("clients = 8", "clients is 8"),
        ("clients = [1]\nrepeats = 0", "repeats is 0"),
        ("clients = [1]\nduration_s = true", "duration_s is True; expected numbers"),
    ):
        file.write_text(text)
        with pytest.raises(plans.PlanError, match=expected):
            plans.matrix(str(file), 5)
    assert {name: value for name, value in plans.DEFAULTS.items() if value} == {
        field.name: field.default
        for field in dataclasses.fields(Campaign)
        if field.name in ("repeats", "duration_s", "warmup_s")
    }


def test_a_baggage_is_the_one_that_triton_bench_sends() -> None:
    """loadtests/triton_bench/labels_test.go expects the same."""
    given = labels.read(["repeat=1", 'cell=a=b c0008,+%;"ü', "campaign=x.y-z_~", "run="])
    assert labels.baggage(given) == (
        "loadtest.campaign=x.y-z_~,loadtest.cell=a%3Db%20c0008%2C%2B%25%3B%22%C3%BC"
    )
    assert labels.baggage({"repeat": "1"}) == ""


def test_whether_a_request_asked_to_be_traced_is_read_from_its_id() -> None:
    def sampled(last: str, ratio: float) -> bool:
        return traces.is_sampled("0123456789abcdef" + last, traces.least_sampled(ratio))

    assert not sampled("ffffffffffffffff", 0)
    assert sampled("0000000000000000", 1)
    for ratio, least in (
        (0.5, "80000000000000"),
        (0.01, "fd70a3d70a3d71"),
        (0.25, "c0000000000000"),
    ):
        below = f"{int(least, 16) - 1:014x}"
        # The byte before the last 56 bits has no part in it.
        assert sampled("00" + least, ratio)
        assert not sampled("ff" + below, ratio)


def test_the_bounds_are_the_services() -> None:
    assert TIMES_S == telemetry.SECONDS


OK, REFUSED, RESET, LATE, CUT = (
    (0, 1_000, 5, 1_000_000, 200, 0, 9, 9),  # 1 ms: on a bound, and counted in it
    (0, 1_000, 5, 2_000_000, 503, 0, 9, 9),
    (0, 2_000, None, 3_000_000, 0, samples.ERRORS.index("reset"), 0, 4),
    (0, 20_000, None, 30_000_000_000, 0, samples.ERRORS.index("timeout"), 0, 9),
    (0, 20_000, None, 40_000_000_000, 0, samples.ERRORS.index("censored"), 0, 9),
)


def test_a_tally_counts_rows_as_triton_bench_does() -> None:
    tally = Tally(issued=7)
    tally.count([])
    tally.count([OK, REFUSED, RESET])
    tally.count([LATE, CUT])
    assert dict(zip(samples.OUTCOMES, tally.outcomes, strict=True)) == dict.fromkeys(
        samples.OUTCOMES, 1
    )
    assert tally.in_flight == 2
    # An answer that was asked for, and above every bound the one that was given up.
    assert tally.response.counts == [1] + [0] * 22 + [1]
    assert tally.response.sum_s == pytest.approx(30.001)
    assert tally.service.counts == [1] + [0] * 22 + [1]
    assert sum(tally.lag.counts) == 5
    assert tally.lag.counts[:2] == [3, 2]
    assert len(tally.lag.counts) == len(LAGS_S) + 1


def test_the_tallies_of_workers_add_up() -> None:
    one = Tally(issued=2, connections=1, cpu_s=0.5, rss_bytes=10)
    one.count([OK, LATE])
    assert unpacked(packed(one)) == one
    two = together([one, unpacked(packed(one))])
    assert (two.issued, two.connections, two.cpu_s, two.rss_bytes) == (4, 2, 1.0, 20)
    assert two.outcomes == [2 * count for count in one.outcomes]
    assert two.response.counts == [2 * count for count in one.response.counts]
    assert two.response.sum_s == 2 * one.response.sum_s
