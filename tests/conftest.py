"""Fixtures that more than one test module needs: real programs, real servers."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def triton_bench() -> Path:
    """The generator as `make build` left it."""
    program = ROOT / ".tools/bin/triton_bench"
    assert program.exists(), f"{program} is missing: run `make build`"
    return program
