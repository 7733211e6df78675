"""
R9: every parser against bytes that nobody foresaw.

Whatever the bytes, a parser returns or raises one of the errors that it documents; the records of a prefix
are a prefix of the records; a megabyte takes less than a second and less than 256 MB. Most inputs come from
a cheap mutator (:mod:`mutation`), by turns, so that all counts grow alike; a share comes from atheris
(:mod:`guided`), which looks for code that no input has reached.

What was counted is kept in ``.cache/fuzzing.json``, for these very parsers: a run that was broken off goes
on where it stopped, with inputs that were not drawn before. Only turns that ended count, and within a turn
no input twice.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import guided
import megabytes
from figures import CannotRun, Figure, Progress, Proof, all_of, at_least, at_most, none, record
from mutation import Mutator
from parsers import all_parsers
from striking import Struck, strike

import airflow_provider_sms

if TYPE_CHECKING:
    from collections.abc import Iterator

STATE = Path(__file__).parents[2] / ".cache" / "fuzzing.json"
INPUTS = 10_000_000
GUIDED = 100_000
MEGABYTES = 40
#: Inputs of a turn: some seconds' worth for the slowest parser, and little to lose when a run is broken off.
_TURN = 20_000
_MOST_KEPT = 20
_MOST_SHOWN = 3


@dataclass
class State:
    """
    What has been done to these parsers until now.

    :param sources: digest of the code under test; other code begins anew.
    :param turns: per parser the turns ended, which is the next turn's seed.
    :param inputs: per parser the inputs that were read.
    :param by_columns: of them those that the fast reading took.
    :param seconds: per parser the seconds of its turns.
    :param guided: per parser the inputs that coverage led.
    :param found: what went wrong, by kind.
    :param kept: some of the inputs that did it, with parser and kind.
    """

    sources: str
    turns: Counter[str] = field(default_factory=Counter)
    inputs: Counter[str] = field(default_factory=Counter)
    by_columns: Counter[str] = field(default_factory=Counter)
    seconds: Counter[str] = field(default_factory=Counter)
    guided: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    kept: list[tuple[str, str, str]] = field(default_factory=list)

    def note(self, parser: str, kind: str, body: bytes) -> None:
        """Note that an input did what none may do."""
        self.found[kind] += 1
        if len(self.kept) < _MOST_KEPT:
            self.kept.append((parser, kind, body.hex()))


def sources() -> str:
    """Give a digest of the code that reads bytes."""
    package = Path(airflow_provider_sms.__file__).parent
    files = [package / name for name in ("errors.py", "records.py", "text.py", "redact.py", "wire.py")]
    files += sorted((package / "vendors").glob("*.py"))
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()[:16]


def load(path: Path) -> State:
    """Read the state, if it is of these parsers."""
    fresh = State(sources())
    if not path.exists():
        return fresh
    kept = json.loads(path.read_text(encoding="utf-8"))
    if kept["sources"] != fresh.sources:
        return fresh
    names = ("turns", "inputs", "by_columns", "seconds", "guided", "found")
    counters = {name: Counter(kept[name]) for name in names}
    return State(kept["sources"], **counters, kept=[tuple(each) for each in kept["kept"]])


def save(state: State, path: Path) -> None:
    """Write the state anew."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps(vars(state), indent=1), encoding="utf-8")
    beside.replace(path)


def take_turn(asked: tuple[str, int, int, int]) -> tuple[str, Struck, float]:
    """Let one parser read a turn's inputs; parser, seed, turn, inputs."""
    name, seed, turn, inputs = asked
    parser = next(each for each in all_parsers() if each.name == name)
    started = time.process_time()
    struck = strike(parser, Mutator(parser.samples, f"{seed} {name} {turn}"), inputs)
    return name, struck, time.process_time() - started


def _turns(state: State, names: list[str], seed: int, target: int) -> Iterator[tuple[str, int, int, int]]:
    """Give the turns that are left, the parser with the fewest inputs first."""
    drawn, expected = Counter(state.turns), Counter({name: state.inputs[name] for name in names})
    while True:
        name = min(names, key=lambda each: expected[each])
        if expected[name] >= target:
            return
        yield name, seed, drawn[name], min(_TURN, target)
        drawn[name] += 1
        # A turn may read a little less than it was asked for: what it read is looked at below.
        expected[name] += min(_TURN, target)


def mutate(state: State, path: Path, names: list[str], target: int, progress: Progress) -> None:
    """Let every parser read so many inputs of the mutator in all; the state is kept after every turn."""
    progress.part("mutated")
    before = sum(state.inputs.values())
    with multiprocessing.get_context("spawn").Pool(progress.jobs) as pool:
        while min(state.inputs[name] for name in names) < target:
            for name, struck, seconds in pool.imap(take_turn, _turns(state, names, progress.seed, target)):
                state.turns[name] += 1
                state.inputs[name] += struck.inputs
                state.by_columns[name] += struck.by_columns
                state.seconds[name] += seconds
                for kind, body in struck.failures:
                    state.note(name, kind, body)
                save(state, path)
                done = sum(state.inputs.values())
                least = min(state.inputs[name] for name in names)
                progress(
                    done - before,
                    target * len(names) - before,
                    f"≥ {least:,} each, {state.found.total()} failures",
                )


def prove(size: float, progress: Progress) -> list[Figure]:
    """Fuzz until every parser has read its share."""
    parsers = all_parsers()
    names = [parser.name for parser in parsers]
    target = max(200, round(INPUTS * size))
    # The long form is gone on with; a look starts from nothing.
    path = STATE if size >= 1 else Path(tempfile.gettempdir()) / "fuzzing.json"
    state = load(path)
    progress.part("by size")
    large = [
        megabytes.measure(parser, max(4, round(MEGABYTES * min(1, size * 5))), progress) for parser in parsers
    ]
    guided_inputs = max(1_000, round(GUIDED * size))
    skipped = ""
    try:
        guided.run(state, parsers, guided_inputs, progress)
        save(state, path)
    except CannotRun as lack:
        skipped = str(lack)
        sys.stderr.write(f"R9: without atheris: {skipped}\n")
    mutate(state, path, names, target, progress)
    for name, kind, body in sorted(state.kept, key=lambda each: len(each[2]))[:_MOST_SHOWN]:
        sys.stderr.write(f"R9: {name}: {kind}: {body}\n")
    return [
        at_least(
            f"inputs of each of {len(names)} parsers, mutated", min(state.inputs[n] for n in names), target
        ),
        record("inputs in all", sum(state.inputs.values()) + sum(state.guided.values())),
        *(
            []
            if skipped
            else [
                at_least(
                    "inputs of each that coverage led", min(state.guided[n] for n in names), guided_inputs
                )
            ]
        ),
        none("errors other than those documented", state.found["error"]),
        none("prefixes whose records are no prefix of the records", state.found["prefix"]),
        none("pages that the two readings of one vendor take differently", state.found["paths"]),
        record("pages that both of them read", sum(state.by_columns.values())),
        all_of(
            "inputs of 1 MB read in time and memory",
            sum(each.within for each in large),
            sum(each.inputs for each in large),
        ),
        at_most("slowest input of 1 MB, s of CPU", max(each.seconds for each in large), megabytes.SECONDS),
        at_most("most memory for one, MB", max(each.megabytes for each in large), megabytes.MEMORY),
        record(
            "inputs a second, the slowest parser",
            min(state.inputs[n] / max(state.seconds[n], 0.001) for n in names),
        ),
        record(
            "inputs a second, the fastest parser",
            max(state.inputs[n] / max(state.seconds[n], 0.001) for n in names),
        ),
    ]


PROOF = Proof("R9", "every parser fuzzed: mutated wire samples, coverage-guided inputs, megabytes", prove)
