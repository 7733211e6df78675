"""
Inputs that coverage leads: atheris watches which code an input reaches and goes on from those that are new.

It ends its process when it is done, so every parser gets one of its own; ``python guided.py PARSER RUNS SEED
FOLDER INPUTS`` is such a process: FOLDER is for what fails, and INPUTS a folder to begin with, or one file to
read.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections import Counter

    from figures import Progress
    from parsers import Parser

_LONGEST = 2_000
_EXECUTED = re.compile(rb"stat::number_of_executed_units:\s*([0-9]+)")


class Books(Protocol):
    """Where counts and failures go."""

    guided: Counter[str]

    def note(self, parser: str, kind: str, body: bytes) -> None:
        """Note that an input did what none may do."""


def run(books: Books, parsers: list[Parser], inputs: int, progress: Progress) -> None:
    """
    Let every parser read so many inputs.

    :raises CannotRun: there is no atheris.
    """
    from figures import CannotRun

    if importlib.util.find_spec("atheris") is None:
        raise CannotRun("there is no atheris in this environment")
    progress.part("guided")
    for position, parser in enumerate(parsers):
        progress(position, len(parsers), parser.name)
        if books.guided[parser.name] < inputs:
            _lead(books, parser, inputs, progress.seed)


def _lead(books: Books, parser: Parser, inputs: int, seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "corpus").mkdir()
        for number, sample in enumerate(parser.samples):
            (place / "corpus" / f"{number:03}").write_bytes(sample)
        told = _run(parser, inputs, seed, place, place / "corpus")
        struck = [path for path in place.iterdir() if path.name.startswith(("crash-", "timeout-", "oom-"))]
        for path in struck:
            # That time is the wall's: where the machine slept meanwhile, the input is read well by itself.
            if path.name.startswith("timeout-") and not _run(parser, 1, seed, place, path).returncode:
                sys.stderr.write(f"R9: {parser.name}: an input that took too long is read in time now\n")
            else:
                books.note(parser.name, "error", path.read_bytes())
        executed = _EXECUTED.search(told.stderr)
        if told.returncode and not struck:
            sys.stderr.write(told.stderr.decode(errors="replace")[-2000:])
            raise RuntimeError(f"atheris ended with {told.returncode} at {parser.name}")
        books.guided[parser.name] += int(executed[1]) if executed else 0


def _run(
    parser: Parser, inputs: int, seed: int, folder: Path, begin_with: Path
) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, __file__, parser.name, str(inputs), str(seed), str(folder), str(begin_with)]
    return subprocess.run(command, capture_output=True, check=False)  # noqa: S603


def _child(name: str, inputs: str, seed: str, folder: str, begin_with: str) -> None:
    import atheris

    with atheris.instrument_imports(include=["airflow_provider_sms"], enable_loader_override=False):
        from parsers import all_parsers

        # The vendors' modules are imported when they are first asked for.
        parser = next(each for each in all_parsers() if each.name == name)
    from striking import Struck, check_answer, check_page

    struck = Struck()

    def read(body: bytes) -> None:
        # Where it is cut is drawn from the input itself, so that a failure can be had again.
        prefix = body[: zlib.crc32(body) % len(body)] if body else b""
        kind = check_page(parser, body, prefix, struck) if parser.pages else check_answer(parser, body)
        if kind:
            raise AssertionError(kind)

    arguments = [
        "guided", f"-runs={inputs}", f"-seed={seed}", f"-max_len={_LONGEST}", "-timeout=10",
        "-rss_limit_mb=2048",
        f"-artifact_prefix={folder}/", "-print_final_stats=1", "-verbosity=0", begin_with,
    ]  # fmt: skip
    atheris.Setup(arguments, read)
    atheris.Fuzz()


if __name__ == "__main__":
    _child(*sys.argv[1:])
