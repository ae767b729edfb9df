"""Whether a reader of a SQLite file in write-ahead mode would have to wait.

SQLite itself waits up to ten seconds for a read lock that another process holds exclusively, in
steps of its own and whatever the connection's timeout is: nothing that an event loop may do.
"""

from __future__ import annotations

import fcntl
import os
import struct
import sys

FIRST_LOCK, LOCKS = 122, 6
"""Of the locks in a `-shm` file those that a reader needs: recovery and the five read marks."""

FLOCK = struct.Struct("hhqqi")
"""`struct flock` of Linux: type, whence, start, length, process."""


class ReadLocks:
    """Asks the kernel about the locks on the `-shm` file beside a database."""

    def __init__(self, database: str) -> None:
        self._path = f"{database}-shm"
        # Open for as long as this object lives: closing any descriptor of a file gives up all locks
        # that the process has on it, SQLite's among them.
        self._file: int | None = None

    def are_taken(self) -> bool:
        """Whether another process keeps readers out now; false where the kernel cannot say it."""
        if sys.platform != "linux":
            return False
        if self._file is None:
            try:
                self._file = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
            except OSError:
                return False  # not there: no write-ahead mode, or nobody has opened the file yet
        asked = FLOCK.pack(fcntl.F_RDLCK, os.SEEK_SET, FIRST_LOCK, LOCKS, 0)
        answer = fcntl.fcntl(self._file, fcntl.F_GETLK, asked)
        return bool(FLOCK.unpack(answer)[0] != fcntl.F_UNLCK)

    def close(self) -> None:
        """Close the file; SQLite's connection must be closed before."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
