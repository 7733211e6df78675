"""Files that are replaced as a whole: readers see the old one or the new one, also after a crash."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from typing import TYPE_CHECKING, BinaryIO, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

ResultT = TypeVar("ResultT")

#: A file of a process that was killed, and not of one that may still be at work.
_STALE_SECONDS = 24 * 3600


def replace_file(target: Path, write: Callable[[BinaryIO], ResultT]) -> ResultT:
    """
    Write a file beside its place, and rename it into that once it is on disk.

    What a process that was killed left of it more than a day ago goes.

    :param target: its folder is there.
    :param write: writes into a file that is open for bytes.
    :return: what ``write`` returned.
    :raises OSError: it could not be written; what was there is as it was.
    """
    forget_killed(target.parent.glob(unfinished(target.name)))
    aside = target.with_name(f".{target.name}.{secrets.token_hex(8)}.part")
    try:
        with aside.open("xb") as file:
            result = write(file)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(target)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    return result


def sync_folder(folder: Path) -> None:
    """
    Have the names of a folder's files on disk: a file's own sync does not do that.

    :raises OSError: the folder is not there, or its disk failed.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def unfinished(name: str) -> str:
    """Give the pattern of the names a file has while it is written: readers skip what begins with a dot."""
    return f".{name}.*.part"


def forget_killed(files: Iterable[Path]) -> None:
    """Remove those of some unfinished files that nobody has written to for a day."""
    old = time.time() - _STALE_SECONDS
    for each in files:
        with contextlib.suppress(FileNotFoundError):
            if each.stat().st_mtime < old:
                each.unlink()
