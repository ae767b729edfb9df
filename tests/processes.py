"""What processes do while the tests look: any of them may end between two looks at it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

import psutil


def runs(pid: int) -> bool:
    """Whether a process of that number lives; one that only waits to be collected does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def command_of(process: psutil.Process) -> list[str]:
    """What it was started with; empty where it has ended or is somebody else's."""
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def listening(processes: Iterable[psutil.Process]) -> Iterator[tuple[str, int]]:
    """Address and TCP port of everything that these processes listen on."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            for socket in process.net_connections("inet"):
                if socket.status == psutil.CONN_LISTEN:
                    yield socket.laddr.ip, socket.laddr.port
