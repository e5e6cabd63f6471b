"""
The app alone, `python -m dashboards`, for environments that hold it and nothing else.
"""

import sys

from analysis.opened import AnalysisError
from dashboards.commands import app

if __name__ == "__main__":
    try:
        app(prog_name="python -m dashboards")
    except AnalysisError as error:
        print(f"windtunnel: {error}", file=sys.stderr)
        sys.exit(2)
