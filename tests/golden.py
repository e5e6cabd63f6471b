"""The real records that come with the project, whatever else was measured here since."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent

# Those whose tables stand in the README.
_NAMED = re.findall(r"<!-- record: (\S+) -->", (ROOT / "README.md").read_text())
DEMO, DEMO_TRACKS = (ROOT / name for name in _NAMED)
