"""P6: what a DAG file pays for importing the operators, sensors and triggers."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from figures import Goal, Row, medians

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from figures import Stopwatch

_OURS = (
    "airflow_provider_sms.operators.sms, airflow_provider_sms.sensors.sms, airflow_provider_sms.triggers.sms"
)
_BY_HAND = "pandas, requests, sqlalchemy, zeep"
_MOST_SECONDS = 0.05
_SCRIPT = """
import time
import airflow.sdk
started = time.perf_counter()
import {modules}
print("took", time.perf_counter() - started)
"""


def rows(runs: int) -> Iterator[Row]:
    """Measure in fresh processes."""
    taken = medians({"ours": _importing(_OURS), "by hand": _importing(_BY_HAND)}, runs)
    goal = Goal("≤ 50 ms", taken["ours"] <= _MOST_SECONDS)
    yield Row(
        "P6",
        "import of operators, sensors, triggers over airflow.sdk",
        taken["ours"],
        taken["by hand"],
        None,
        (goal,),
    )


def _importing(modules: str) -> Callable[[Stopwatch], None]:
    def run(watch: Stopwatch) -> None:
        script = [sys.executable, "-c", _SCRIPT.format(modules=modules)]
        done = subprocess.run(script, capture_output=True, text=True, check=True)  # noqa: S603 - our own
        watch.seconds = float(done.stdout.rpartition("took")[2])

    return run
