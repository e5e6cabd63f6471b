"""How an objective is written, refused and printed; the default is what Prometheus watches."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from analysis.latency import AnalysisError
from analysis.objective import DEFAULT, EXAMPLE, Objective, parse, text
from benchmarks import fields

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("written", "meant", "printed"),
    [
        (EXAMPLE, Objective(99, 250, 0.001), "P99 up to 250 ms, errors up to 0.1%"),
        ("p95=1.5s", Objective(95, 1500, 0.001), "P95 up to 1.5 s, errors up to 0.1%"),
        ("errors=0%,p50=3ms", Objective(50, 3, 0.0), "P50 up to 3 ms, errors up to 0%"),
        ("P99.9 = 80 MS , Errors = 5 %", Objective(99.9, 80, 0.05), "P99.9 up to 80 ms, errors"),
        ("p99=1234.5678ms", Objective(99, 1234.5678, 0.001), "P99 up to 1.2345678 s, errors"),
        ("p99=1ms,errors=0.01%", Objective(99, 1, 0.0001), "P99 up to 1 ms, errors up to 0.01%"),
    ],
)
def test_an_objective_is_read_and_printed_as_it_was_set(
    written: str, meant: Objective, printed: str
) -> None:
    found = parse(written)
    assert (found.q, found.limit_ms) == (meant.q, meant.limit_ms)
    assert found.max_error_share == pytest.approx(meant.max_error_share, rel=1e-12)
    assert text(found).startswith(printed)


@pytest.mark.parametrize(
    ("written", "found", "expected"),
    [
        ("", "found ''", "expected one percentile"),
        ("fast", "found 'fast'", "expected one percentile"),
        ("p99", "found 'p99'", "expected one percentile"),
        ("p99=250", "found '250'", "ms or s"),
        ("p99=0ms", "found '0ms'", "more than 0"),
        ("p99=-1ms", "found '-1ms'", "ms or s"),
        ("p99=nanms", "found 'nanms'", "ms or s"),
        (f"p99={'9' * 400}ms", "found '999", "ms or s"),
        ("p100=1ms", "found 'p100'", "less than 100"),
        ("p0=1ms", "found 'p0'", "more than 0"),
        ("p99=1ms,p95=1ms", "found 'p95=1ms'", "one percentile"),
        ("p99=1ms,errors=1%,errors=2%", "found 'errors=2%'", "one percentile"),
        ("errors=1%", "found 'errors=1%'", "a percentile and its limit"),
        ("p99=1ms,errors=5", "found '5'", "per cent"),
        ("p99=1ms,errors=100%", "found '100%'", "less than 100%"),
        ("p99=1ms,", "found ''", "one percentile"),
        ("p\u0669=1ms", "=1ms'", "one percentile"),
    ],
)
def test_a_wrong_one_is_refused_with_what_was_found(
    written: str, found: str, expected: str
) -> None:
    with pytest.raises(AnalysisError) as refused:
        parse(written)
    message = str(refused.value)
    assert found in message
    assert expected in message
    assert message.endswith(f"write {EXAMPLE}")


@given(st.text() | st.from_regex(r"p[0-9.]{1,5}=[0-9.]{1,6}(ms|s),errors=[0-9.]{1,4}%"))
def test_any_text_is_an_objective_or_refused_in_one_line(written: str) -> None:
    refusal = "one line"
    try:
        found = parse(written)
    except AnalysisError as error:
        found, refusal = DEFAULT, str(error)
    assert len(refusal.splitlines()) == 1
    assert 0 < found.q < 100
    assert found.limit_ms > 0
    assert 0 <= found.max_error_share < 1


def test_the_default_is_what_prometheus_promises() -> None:
    promised = YAML(typ="safe").load((ROOT / "prometheus/slo.yml").read_text())
    by_name = {objective["slo"]: objective for objective in promised["objectives"]}
    latency, availability = by_name["latency"], by_name["availability"]
    assert pytest.approx(latency["target"] * 100) == DEFAULT.q
    assert latency["within_s"] * 1000 == DEFAULT.limit_ms
    assert 1 - availability["target"] == pytest.approx(DEFAULT.max_error_share)


@pytest.mark.parametrize(
    "written", ["p99=250ms", "p95=1.5s,errors=1%", "p99.9=0.5ms,errors=0%", EXAMPLE]
)
def test_a_campaign_may_promise_what_is_read_here(written: str) -> None:
    assert fields.slo("campaign.toml: slo", written) == written
    assert parse(written).limit_ms > 0


@given(st.from_regex(r"\Ap[0-9.]{1,5}=[0-9.]{1,6}(ms|s)(,errors=[0-9.]{1,4}%)?\Z"))
def test_what_a_campaign_accepts_can_be_read_after_its_run(written: str) -> None:
    try:
        fields.slo("slo", written)
    except fields.CampaignError:
        return
    parse(written)
