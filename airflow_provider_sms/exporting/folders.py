"""
A dataset in a folder: one file per day, replaced as a whole.

On a local disk the file is written beside its place and renamed into it; elsewhere it is written on this
machine and put there in one go, which object stores show only when it is whole. So a reader sees the old
day or the new one, and a run that was killed has changed nothing.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_sms.replacing import forget_killed, replace_file, unfinished

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date
    from typing import BinaryIO

_LOCAL = ("file", "local", "")
_FORMATS = ("parquet", "csv")


def forget_killed_days(root: Any, table: str) -> None:
    """
    Remove what exports of a table that were killed more than a day ago left on a local disk, of whatever day.

    A day that is exported once is never come back to, and such a file may hold numbers.

    :param root: the folder of all datasets, an ``ObjectStoragePath``.
    """
    if _is_local(root):
        forget_killed(Path(root.path).glob(f"{table}/day=*/{unfinished(f'{table}.*')}"))


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
    return replace_file(folder / name, write)


def _put(target: Any, write: Callable[[BinaryIO], int]) -> int:
    with tempfile.TemporaryDirectory(prefix="sms-export-") as here:
        aside = Path(here) / target.name
        with aside.open("xb") as file:
            rows = write(file)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.fs.put_file(str(aside), target.path)
    return rows
