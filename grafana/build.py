"""
Write grafana/dashboards/*.json, or say what differs from it.

    python -m grafana.build            write them
    python -m grafana.build --check    say which differ, and exit with 1 if any does
"""

import argparse
import difflib
import sys
from pathlib import Path

from grafana import campaign, runtime, service, slo, triton

FOLDER = Path(__file__).parent / "dashboards"
BOARDS = (service.BOARD, triton.BOARD, campaign.BOARD, slo.BOARD, runtime.BOARD)
LINES_SHOWN = 20  # of a difference; the command that mends it is the same however long it is


def wanted() -> dict[Path, str]:
    """What each file should hold."""
    return {FOLDER / f"{board.file}.json": board.json() for board in BOARDS}


def differences(files: dict[Path, str]) -> list[str]:
    """What is not as it should be, one text for each file."""
    found = []
    for path, text in files.items():
        there = path.read_text() if path.exists() else ""
        if there != text:
            lines = difflib.unified_diff(
                there.splitlines(), text.splitlines(), "committed", "generated", lineterm="", n=1
            )
            found.append("\n".join([f"{path}: not what is generated", *[*lines][:LINES_SHOWN]]))
    return found + [
        f"{path}: no dashboard is written there; remove it"
        for path in sorted(FOLDER.glob("*.json"))
        if path not in files
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m grafana.build", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--check", action="store_true", help="only say what differs")
    files = wanted()
    if parser.parse_args().check:
        found = differences(files)
        if found:
            print(*found, "run `python -m grafana.build`", sep="\n", file=sys.stderr)
        return 1 if found else 0
    FOLDER.mkdir(exist_ok=True)
    for path, text in files.items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
