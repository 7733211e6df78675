"""
What the demonstration shows: its own sentences, the tasks' own lines and their states.

Airflow logs thousands of lines to standard output. Here everything that is written there goes through a pipe
into a file, and what is about the examples is picked out and shown as it happens.
"""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path
    from types import TracebackType

# 2026-10-24T09:08:10.123456Z [info     ] what happened                  [logger.name] key=value
_LINE = re.compile(r"^\S+Z \[(?P<level>\w+)\s*\] (?P<event>.*?)\s+\[(?P<logger>[\w.]+)\](?: \w+=.*)?$")
_STARTING = re.compile(r"^\[DAG TEST\] starting task_id=(?P<task>\S+) map_index=(?P<index>-?\d+)")
_NEW_STATE = re.compile(r"\bnew_state=(?P<state>\w+)")
#: Loggers of the package and of the example DAGs, as Airflow names them.
_OURS = re.compile(r"airflow_provider_sms|example_sms")
# Lines that the demonstration itself writes, to keep its own sentences in order with Airflow's.
_CATCH_UP = "[demonstration] caught up"
_OVERHEARD = "[demonstration] "
_SIGNS = {"success": "✓", "failed": "✗", "up_for_retry": "↻", "up_for_reschedule": "…", "skipped": "–"}
_QUIET = re.compile(r"^::(group|endgroup)::|^Success criteria met|^Sensor has")
_NAME_WIDTH = 32
_NO_DIGITS = str.maketrans("", "", ",. %")


class Console:
    """
    Take over standard output and error of this process until it is closed.

    :param log: file that gets every line.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._began = self._task_began = time.monotonic()
        self._task = ""
        self._said: set[str] = set()
        self._names: dict[tuple[str, int], str] = {}
        self._caught_up = threading.Event()
        self._loose = ""  # the last line without a head: at the end of a traceback, the error

    def __enter__(self) -> Self:
        """Begin to pick."""
        sys.stdout.flush()
        sys.stderr.flush()
        self._saved = os.dup(1), os.dup(2)
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="replace")
        reading, writing = os.pipe()
        os.dup2(writing, 1)
        os.dup2(writing, 2)
        os.close(writing)
        self._reader = threading.Thread(target=self._pick, args=(reading,), name="console", daemon=True)
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give standard output and error back; whatever went wrong is shown there."""
        sys.stdout.flush()
        sys.stderr.flush()
        for number, saved in enumerate(self._saved, 1):
            os.dup2(saved, number)
            os.close(saved)
        self._reader.join(5)
        self._out.close()

    @property
    def seconds(self) -> float:
        """How long it has been open."""
        return time.monotonic() - self._began

    def say(self, text: str = "") -> None:
        """Show a text, behind everything that was logged before."""
        if threading.current_thread() is not self._reader:
            self._caught_up.clear()
            self._log_line(_CATCH_UP)
            self._caught_up.wait(2)
        with self._lock:
            self._out.write(f"{text}\n")
            self._out.flush()

    def name(self, task: str, map_index: int, name: str) -> None:
        """Call an instance of a mapped task by a name instead of its index."""
        self._names[task, map_index] = name

    def overheard(self, name: str, text: str) -> None:
        """Show what somebody else said, in order with the lines of the running task."""
        self._log_line(f"{_OVERHEARD}{name}: {text}")

    def chapter(self, title: str) -> None:
        """Show the title of what comes next, with the seconds gone by."""
        self.say(f"\n{title}  ({self.seconds:.0f} s)")

    def told(self, name: str, text: str) -> None:
        """Show what somebody said, in the columns of the tasks' lines."""
        self.say(f"  {name:<{_NAME_WIDTH}} {text}")

    def table(self, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Show a table; numbers stand right, text left."""
        cells = [[_cell(value) for value in row] for row in rows]
        if not cells:
            self.say("  (no rows)")
            return
        right = [all(_is_number(row[column]) for row in cells) for column in range(len(header))]
        lines = [list(header), *cells]
        widths = [max(_width(line[column]) for line in lines) for column in range(len(header))]
        for line in [lines[0], ["─" * width for width in widths], *cells]:
            padded = (
                _pad(text, width, right=numeric)
                for text, width, numeric in zip(line, widths, right, strict=True)
            )
            self.say(f"  {'  '.join(padded).rstrip()}")

    @staticmethod
    def _log_line(text: str) -> None:
        # By the same way as Airflow's lines, so that it keeps its place among them.
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    def _pick(self, reading: int) -> None:
        with (
            os.fdopen(reading, encoding="utf-8", errors="replace") as lines,
            self._log.open("a", encoding="utf-8") as log,
        ):
            for line in lines:
                if line.startswith(_CATCH_UP):
                    self._caught_up.set()
                    continue
                log.write(line)
                log.flush()
                if line.startswith(_OVERHEARD):
                    self.told(*line.removeprefix(_OVERHEARD).rstrip().split(": ", 1))
                    continue
                matched = _LINE.match(line.rstrip("\n"))
                if matched:
                    self._show(matched["level"], matched["event"], matched["logger"], line)
                elif line.strip():
                    self._loose = line.strip()

    def _show(self, level: str, event: str, logger: str, line: str) -> None:
        starting = _STARTING.match(event)
        if starting:
            self._begin_task(starting["task"], int(starting["index"]))
            return
        state = _NEW_STATE.search(line) if event == "Task instance state updated" else None
        if state:
            took = time.monotonic() - self._task_began
            sign = _SIGNS.get(state["state"], "·")
            if state["state"] in {"failed", "up_for_retry"} and self._loose:
                self._tell_once(f"ERROR: {self._loose}")
            self._tell_once(f"{sign} {state['state'].replace('_', ' ')}", f", {took:.1f} s")
        elif _OURS.search(logger) and not _QUIET.match(event) and ".sandbox" not in logger:
            self._tell_once(f"{'' if level == 'info' else level.upper() + ': '}{event}")

    def _begin_task(self, task: str, index: int) -> None:
        name = f"{task} {self._names.get((task, index), index)}" if index >= 0 else task
        if name != self._task:
            self._said.clear()
            self._loose = ""
        self._task, self._task_began = name, time.monotonic()

    def _tell_once(self, text: str, more: str = "") -> None:
        """Show a line of the running task, unless it said so before: a sensor looks many times."""
        if text not in self._said:
            self._said.add(text)
            self.told(self._task, f"{text}{more}")


def _cell(value: object) -> str:
    if value is None or value != value:  # noqa: PLR0124 - only NaN differs from itself
        return "–"
    if isinstance(value, float):
        return f"{value:,.0f}" if value.is_integer() else f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _is_number(text: str) -> bool:
    return text == "–" or text.translate(_NO_DIGITS).isdigit()


def _width(text: str) -> int:
    from unicodedata import east_asian_width

    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)


def _pad(text: str, width: int, *, right: bool) -> str:
    space = " " * (width - _width(text))
    return f"{space}{text}" if right else f"{text}{space}"
