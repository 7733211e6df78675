"""R4 and R5 in short; the long forms are ``make torture``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "torture" / "run.py"


@pytest.mark.skipif(not SCRIPT.exists(), reason="the benchmarks are not part of this tree")
@pytest.mark.parametrize("number", ["R4", "R5"])
def test_cut_broken_and_forged_pages_end_as_promised(tmp_path, number):
    """Every figure of the proof is met, and there are some."""
    kept = tmp_path / "results.json"
    command = [sys.executable, str(SCRIPT), "--only", number, "--size", "0.004", "--json", str(kept)]
    told = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)  # noqa: S603
    assert told.returncode == 0, told.stdout + told.stderr
    figures = json.loads(kept.read_text("utf-8"))[number]["figures"]
    assert len([met for _, _, target, met in figures if target and met]) >= 5
