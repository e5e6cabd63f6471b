"""
Takes out of a profile what is of this machine alone; a profile is passed on.
"""

import re
import sys
from pathlib import Path

from benchmarks.environments import ROOT
from benchmarks.recorder import explained

# The folder of a process's program, after the quotation mark of each of py-spy's formats.
_FOLDER = re.compile(r'(process \d+:(?:\\"|&quot;|"))[^\s"\\&<]*/')
# A process's command in collapsed stacks.
_COMMAND = re.compile(r'process \d+:"[^"\n]*"')


def strip(output: Path) -> None:
    """
    Take out where the checkout and Python's library lie, and the folder of a process's program.

    And the semicolons of a worker's command, which would divide its frame in collapsed stacks.
    """
    with explained(output, "choose another folder", kept="no profile was written"):
        text = output.read_text(encoding="utf-8", errors="replace")
        text = _COMMAND.sub(lambda found: found[0].replace(";", ","), _FOLDER.sub(r"\1", text))
        text = text.replace(f"{ROOT}/", "").replace(f"{sys.base_prefix}/lib/", "lib/")
        output.write_text(text, encoding="utf-8")
