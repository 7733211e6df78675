"""Results of proofs: kept in a file, so that a broken-off run can go on, and shown as one table."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from figures import Figure

if TYPE_CHECKING:
    from collections.abc import Iterable

_HEADER = ("", "what was done", "figure", "value", "target", "met", "seconds")
_HERE = Path(__file__).parent


@dataclass
class Result:
    """
    What became of one proof.

    :param skipped: why it did not run, if so.
    :param failed: the error that ended it, if one did.
    """

    number: str
    title: str
    figures: list[Figure] = field(default_factory=list)
    seconds: float = 0.0
    size: float = 1.0
    seed: int = 1
    commit: str = ""
    machine: str = ""
    skipped: str = ""
    failed: str = ""

    @property
    def met(self) -> bool:
        """Whether nothing was missed; what was skipped misses nothing."""
        return not self.failed and all(figure.met for figure in self.figures)

    def lines(self) -> Iterable[tuple[str, ...]]:
        """Give the lines of the table."""
        seconds = f"{self.seconds:,.0f}"
        title = self.title if self.size == 1 else f"{self.title} ({self.size:g} of it)"
        if self.skipped:
            yield self.number, title, f"skipped: {self.skipped}", "", "", "", seconds
        elif self.failed:
            yield self.number, title, f"broke off: {self.failed}", "", "", "NO", seconds
        first = True
        for each in self.figures:
            head = (self.number, title) if first else ("", "")
            met = ("yes" if each.met else "NO") if each.target else ""
            yield *head, each.what, _shown(each.value), each.target, met, seconds if first else ""
            first = False


def _shown(value: float) -> str:
    if isinstance(value, int) or value == int(value):
        return f"{int(value):,}"
    return f"{value:,.2f}"


def read(path: Path) -> dict[str, Result]:
    """Read a file of results, if there is one."""
    if not path.exists():
        return {}
    found = {}
    for number, kept in json.loads(path.read_text(encoding="utf-8")).items():
        found[number] = Result(**{**kept, "figures": [Figure(*each) for each in kept["figures"]]})
    return found


def write(path: Path, results: dict[str, Result]) -> None:
    """Write a file of results anew."""
    kept = {number: asdict(result) for number, result in sorted(results.items(), key=_order)}
    beside = path.with_name(path.name + ".new")
    beside.write_text(json.dumps(kept, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    beside.replace(path)


def _order(item: tuple[str, Result]) -> int:
    return int(item[0].removeprefix("R"))


def table(results: dict[str, Result]) -> str:
    """Make a Markdown table, and say of which commit and machine."""
    found = [result for _, result in sorted(results.items(), key=_order)]
    lines = [_HEADER, *(line for result in found for line in result.lines())]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    shown = ["| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in lines]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    origins = sorted({f"commit {each.commit}, seed {each.seed}; {each.machine}" for each in found})
    return "\n".join([*origins, "", shown[0], rule, *shown[1:]])


def commit() -> str:
    """Name the commit of this tree, with ``-dirty`` when it has changes."""
    command = ["git", "-C", str(_HERE), "describe", "--always", "--dirty"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return told.stdout.strip() or "unknown"


def machine() -> str:
    """Describe this machine in a line."""
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    cores = len(os.sched_getaffinity(0))
    system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    return f"{cores} cores of {cpu}, {system}"
