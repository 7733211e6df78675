"""R11 in short; the long form is ``benchmarks/torture/push.py``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "torture" / "push.py"


@pytest.mark.skipif(not SCRIPT.exists(), reason="the benchmarks are not part of this tree")
def test_among_kills_and_bad_requests_nothing_acknowledged_is_lost():
    command = [sys.executable, str(SCRIPT), "--requests", "60", "--kills", "3", "--seed", "11"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)  # noqa: S603
    assert told.returncode == 0, told.stdout + told.stderr
    assert "acknowledged and lost 0" in told.stdout
    assert "3 kills" in told.stdout
