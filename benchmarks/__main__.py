"""`python -m benchmarks triton`, for environments that hold the runner and nothing else."""

import sys

from benchmarks.commands import app
from benchmarks.fields import CampaignError
from benchmarks.processes import RunError

if __name__ == "__main__":
    try:
        app(prog_name="python -m benchmarks")
    except (CampaignError, RunError) as error:
        print(f"windtunnel: {error}", file=sys.stderr)
        sys.exit(2)
