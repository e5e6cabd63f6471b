"""Pure functions of records: percentiles, ratios with intervals, verdicts and doubts."""
