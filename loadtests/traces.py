"""
Which requests ask to be traced. The decision is that of OpenTelemetry's consistent probability
sampling, by the last 56 bits of the trace id: so it can be read from an id when the share is known.
"""

from math import floor

_RANGE = 1 << 56
_DIGITS = slice(18, 32)  # the last 56 bits, of 32 hexadecimal digits


def least_sampled(ratio: float) -> int:
    """Ids whose last 56 bits are at least this ask to be traced."""
    share = ratio * _RANGE  # exact: a float times a power of two
    whole = floor(share)
    return _RANGE - (whole + (share - whole >= 0.5))


def is_sampled(trace_id: str, least: int) -> bool:
    """Whether the request with this id asked to be traced, given `least_sampled`."""
    return int(trace_id[_DIGITS], 16) >= least
