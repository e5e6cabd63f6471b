"""
What each kind of doubt means, for those who meet it; the table in README.md, and a test keeps the
two alike.
"""

MEANINGS = {
    "no_aa_pair": "the campaign has no A/A pair, so no noise floor",
    "imported": "another program measured it; what its files do not say is listed",
    "aa_differs": "the two copies differ: interval beyond 1 and the margin, adjusted p up to 5 %",
    "shared_cpus": "the generator and the service were not pinned to CPUs of their own",
    "left_out": "variants that this machine could not run",
    "uncommitted_changes": "the code differed from the commit in the record",
    "code_changed": "the run was resumed at another commit, or with uncommitted changes",
    "generator_late": (
        "P99 of the send lag over max(1 ms, 5 % of the P50); open loop: of arrivals for "
        "which a connection was free"
    ),
    "rate_missed": "open loop: under 99 % of the arrivals were sent in the measured time",
    "generator_busy": (
        "the generator was the limit otherwise, in its own words: a thread or its CPUs "
        "busy for over 70 %, over half of its ceiling, pauses, ports"
    ),
    "errors": "over 1 % of a repeat's requests failed, time-outs included",
    "missing_repeats": "fewer repeats than planned",
    "not_warm": (
        "in most repeats the window's first quarter is over 10 % slower than the rest, by "
        "medians whose intervals do not meet (after Geweke 1992; 10 % as in Triton's "
        "perf_analyzer)"
    ),
    "getting_slower": "the same the other way round: no steady state",
    "other_load": (
        "other programs used over 10 % of the machine (not told of a service that others run)"
    ),
    "steal": "the hypervisor took over 1 % of the CPU time",
    "repeats_disagree": (
        "largest / smallest repeat over 1.10: medians whose intervals do not meet; or "
        "throughput, over 1 + max(0.10, 3 / sqrt(n)) with the fewest good answers n of a "
        "repeat"
    ),
    "too_few": "a percentile that was asked for needs more requests",
}
