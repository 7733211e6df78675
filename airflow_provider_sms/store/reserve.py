"""
Room on the spool's disk, kept for the page that is about to be read.

A disk that is all but full takes a lease and an intent, and then, with the vendor's copy deleted, neither
the store nor the spool takes the page. So before the vendor is asked, a file of the spool has as many bytes
of the disk as the page may need. What a disk says of its free space would know nothing of quotas, nor of what
others write in the meantime. Where no file can be made any more, the page goes into this one.

The file stays from run to run, and its length remembers what the queue's largest page needs.
"""

from __future__ import annotations

import errno
import hashlib
import os
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX = ".reserve"
#: A page that is larger than those before it is followed by larger ones: no new room for each of them.
_STEP = 64 << 10
#: File systems that keep no room on demand say so by these.
_UNABLE = frozenset({errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS})
_ZEROS = bytes(_STEP)


class Reserve:
    """
    The room of one queue in one spool; whoever reads the queue has it.

    :param directory: the spool's folder.
    :param conn_id: whose queue.
    :param queue: which.
    """

    def __init__(self, directory: Path, conn_id: str, queue: str) -> None:
        name = hashlib.sha256(f"{queue} {conn_id}".encode()).hexdigest()[:24]
        # Each user has his own: no other one could write into it.
        self._path = directory / f".{name}.{os.getuid()}{SUFFIX}"
        self._sure = 0

    def hold(self, size: int) -> None:
        """
        Have room for so many bytes, and for as many as were ever asked for.

        :raises OSError: the disk or a quota has none, or the folder cannot be written.
        """
        if size <= self._sure:
            return
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            size = max(_rounded(size), os.fstat(descriptor).st_size)
            try:
                _allocate(descriptor, size)
            except OSError:
                # What a full disk did not take is not to fill it any more; a hole needs nothing.
                os.ftruncate(descriptor, 0)
                os.ftruncate(descriptor, size)
                raise
        finally:
            os.close(descriptor)
        self._sure = size

    def hand_over(self, path: Path, size: int) -> None:
        """
        Make the file another one, in which so many bytes have their place.

        :raises OSError: there is no such room.
        """
        if size > self._sure:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._sure = 0
        self._path.rename(path)

    def demand(self, size: int) -> None:
        """Have whoever reads the queue next ask for so many bytes, since a page needed them in vain."""
        self._sure = 0
        with suppress(OSError):
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                os.ftruncate(descriptor, max(_rounded(size), os.fstat(descriptor).st_size))
            finally:
                os.close(descriptor)


def _rounded(size: int) -> int:
    return -(-size // _STEP) * _STEP


def _allocate(descriptor: int, size: int) -> None:
    allocate = getattr(os, "posix_fallocate", None)
    if allocate is not None:
        try:
            allocate(descriptor, 0, size)
        except OSError as error:
            if error.errno not in _UNABLE:
                raise
        else:
            return
    for start in range(0, size, _STEP):
        os.pwrite(descriptor, _ZEROS[: size - start], start)
