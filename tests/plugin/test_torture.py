"""R11 in short; the long form is ``make torture``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "torture" / "run.py"


@pytest.mark.skipif(not SCRIPT.exists(), reason="the benchmarks are not part of this tree")
def test_among_kills_and_bad_requests_nothing_acknowledged_is_lost(tmp_path):
    kept = tmp_path / "results.json"
    command = [
        sys.executable,
        str(SCRIPT),
        "--only",
        "R11",
        "--size",
        "0.005",
        "--seed",
        "11",
        "--json",
        kept,
    ]
    told = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)  # noqa: S603
    assert told.returncode == 0, told.stdout + told.stderr
    figures = {what: value for what, value, *_ in json.loads(kept.read_text())["R11"]["figures"]}
    assert figures["acknowledged and lost"] == 0
    assert figures["SIGKILLs"] == 3
