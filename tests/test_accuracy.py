"""The theory that the generator is held against must itself be right."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from benchmarks.components.accuracy import Row, cases, frozen_response_ms, percentile

pytestmark = pytest.mark.alone


@given(st.integers(1, 40), st.floats(0.05, 0.9), st.floats(0.2, 3))
def test_after_a_freeze_the_wait_falls_evenly(rate: int, busy: float, freeze_s: float) -> None:
    """Closed form: x seconds after the freeze began, freeze - x * (1 - rate * delay)."""
    delay_ms, freeze_ms = busy / rate * 1e3, freeze_s * 1e3
    assume(freeze_ms >= delay_ms)  # the frozen answer itself takes the freeze, not the delay
    found = frozen_response_ms(500, rate, delay_ms, freeze_ms, 1)
    for number, response_ms in enumerate(found):
        wait_ms = freeze_ms - number / rate * 1e3 * (1 - busy)
        assert response_ms == pytest.approx(max(wait_ms, delay_ms), rel=1e-9, abs=1e-6)


def test_the_freeze_case_can_tell_response_from_service_time() -> None:
    frozen = cases()[-1]
    assert percentile(frozen.response_ms, 0.99) > 15 * percentile(frozen.service_ms, 0.99)
    assert percentile(frozen.response_ms, 0.50) == pytest.approx(
        percentile(frozen.service_ms, 0.50)
    )
    assert sum(ms > 1000 for ms in frozen.service_ms) == 1


def test_every_case_has_enough_requests_for_a_p99() -> None:
    assert all(len(case.response_ms) >= 368 for case in cases())


@pytest.mark.parametrize(
    ("theory", "reported", "holds"),
    [
        (100, (100.9, 104, 100.2), True),  # the median counts
        (100, (101.1, 101.2, 99), False),
        (1, (1.09,), True),  # 9 %, but under 100 us
        (1, (1.11,), False),
        (100, (98.9,), False),
    ],
)
def test_a_row_holds_within_one_percent_or_100_us(
    theory: float, reported: tuple[float, ...], holds: bool
) -> None:
    assert Row("case", "response", "p50", theory, reported).holds is holds
