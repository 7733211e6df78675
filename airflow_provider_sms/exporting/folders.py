"""
A dataset in a folder: one file per day, replaced as a whole.

On a local disk the file is written beside its place and renamed into it; elsewhere it is written on this
machine and put there in one go, which object stores show only when it is whole. So a reader sees the old
day or the new one, and a run that was killed has changed nothing.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date
    from typing import BinaryIO

_LOCAL = ("file", "local", "")
_FORMATS = ("parquet", "csv")
#: A file of a run that was killed, and not of one that may still be at work.
_STALE_SECONDS = 24 * 3600


def replace_day(
    root: Any, table: str, day: date, suffix: str, write: Callable[[BinaryIO], int]
) -> tuple[str, int]:
    """
    Put a day's file into ``<root>/<table>/day=<day>/<table>.<suffix>``.

    What an export in another format left of the day is taken away afterwards.

    :param root: the folder of all datasets, an ``ObjectStoragePath``.
    :param write: writes the file, and gives the number of its rows.
    :return: the address of the file, and the number of rows.
    :raises OSError: it could not be written; the old file is as it was.
    """
    folder = root / table / f"day={day.isoformat()}"
    target = folder / f"{table}.{suffix}"
    rows = _locally(Path(folder.path), target.name, write) if _is_local(root) else _put(target, write)
    for other in _FORMATS:
        stale = folder / f"{table}.{other}"
        if other != suffix and stale.exists():
            stale.unlink()
    return str(target), rows


def _is_local(path: Any) -> bool:
    return str(path.protocol) in _LOCAL


def _locally(folder: Path, name: str, write: Callable[[BinaryIO], int]) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    _forget_killed(folder, name)
    # Readers skip what begins with a dot.
    aside = folder / f".{name}.{secrets.token_hex(8)}.part"
    try:
        with aside.open("xb") as file:
            rows = write(file)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(folder / name)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    return rows


def _forget_killed(folder: Path, name: str) -> None:
    old = time.time() - _STALE_SECONDS
    for aside in folder.glob(f".{name}.*.part"):
        with contextlib.suppress(FileNotFoundError):
            if aside.stat().st_mtime < old:
                aside.unlink()


def _put(target: Any, write: Callable[[BinaryIO], int]) -> int:
    with tempfile.TemporaryDirectory(prefix="sms-export-") as here:
        aside = Path(here) / target.name
        with aside.open("xb") as file:
            rows = write(file)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.fs.put_file(str(aside), target.path)
    return rows
