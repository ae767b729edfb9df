"""A time before every line that a process writes: `python -m cli.platform.stamped COMMAND...`.

The command takes the place of this process, so that its parent knows its pid and sees its end; a
child copies what it writes, line by line, to where this process wrote. The child ends when the last
writer does. Lines that begin with an ISO time already stay as they are. Only the standard library
is imported: every process of the platform passes through here.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import BinaryIO

ISO_TIME = re.compile(rb"\[?\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)")
STDIN, STDOUT, STDERR = 0, 1, 2


def stamped(command: Sequence[str]) -> tuple[str, ...]:
    """The command line that runs `command` with a time before every line."""
    return (sys.executable, "-m", "cli.platform.stamped", *command)


def stamp(line: bytes, now: datetime) -> bytes:
    """The line with its time (UTC, milliseconds) in front, unless it has one."""
    if ISO_TIME.match(line):
        return line
    return f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03d}Z ".encode() + line


def copy_lines(source: BinaryIO, target: BinaryIO) -> None:
    """Copy line by line, as each comes, until the last writer has closed `source`."""
    for line in iter(source.readline, b""):
        target.write(stamp(line if line.endswith(b"\n") else line + b"\n", datetime.now(UTC)))
        target.flush()


def _become_copier(reader: int) -> None:
    # It ends after the processes whose lines it copies, not with them.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with os.fdopen(reader, "rb") as source, os.fdopen(STDOUT, "wb") as target:
        copy_lines(source, target)


def main(command: list[str]) -> None:
    """Start the copier and become the command."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        # A second fork: the command must not find a child that it did not start.
        if os.fork() == 0:
            os.close(writer)
            _become_copier(reader)
        os._exit(0)
    os.waitpid(child, 0)
    os.close(reader)
    os.dup2(writer, STDOUT)
    os.dup2(writer, STDERR)
    os.close(writer)
    os.execvp(command[0], command)  # noqa: S606  # the command line is supervisord's configuration


if __name__ == "__main__":
    main(sys.argv[1:])
