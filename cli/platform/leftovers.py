"""Processes of a platform that are still alive when they should not be, found by what they cannot
shed, and ended by id.

Supervisord opens a session, and what it starts stays in that session even when it moves to another
process group or loses its parent. Whatever opens a session of its own is a child of one of those,
or still has the platform's id in its environment. (BentoML's worker hides that id under its process
title; it ends by itself when its parent is gone.)
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

import psutil

from cli.platform.environment import PLATFORM_TAG
from cli.platform.processes import platform_processes
from cli.platform.state import PlatformState, read_state
from cli.platform.supervision import pid_file
from include.bundles.unpacked import versions_dir
from include.errors import PlatformError
from include.settings import Settings

TERMINATE_SECONDS = 10.0
KILL_SECONDS = 5.0
BOOT_TOLERANCE = 120.0


def find_leftovers(settings: Settings) -> list[psutil.Process]:
    """Every living process of the platform last started in this home, supervisord included."""
    state = read_state(settings)
    if state is None or abs(psutil.boot_time() - state.boot_time) > BOOT_TOLERANCE:
        return []
    session = _session(pid_file(settings))
    folders = {process.directory for process in platform_processes(settings)}
    # A platform may run the code of a bundle, and its tasks that of several.
    folders.update(versions_dir(settings).glob("*"))
    ancestors = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    leftovers = [
        process
        for process in psutil.process_iter()
        if process.pid not in ancestors and _belongs(process, state, session, folders)
    ]
    return _with_children(leftovers)


def _session(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _belongs(
    process: psutil.Process, state: PlatformState, session: int | None, folders: Collection[Path]
) -> bool:
    try:
        if process.uids().real != os.getuid() or process.status() == psutil.STATUS_ZOMBIE:
            return False
        if session is not None and os.getsid(process.pid) == session:
            # A session number may be used again: ours also work in our folders and are younger than
            # the platform.
            return Path(process.cwd()) in folders and process.create_time() >= state.started_at - 5
        return bool(process.environ().get(PLATFORM_TAG) == state.platform_id)
    except (psutil.Error, OSError):
        return False


def _with_children(processes: list[psutil.Process]) -> list[psutil.Process]:
    by_pid = {process.pid: process for process in processes}
    for process in processes:
        try:
            by_pid.update({child.pid: child for child in process.children(recursive=True)})
        except psutil.NoSuchProcess:
            continue
    return list(by_pid.values())


def end_leftovers(processes: list[psutil.Process]) -> int:
    """End those of `processes` that still live, politely and then not; return how many there were.

    Raises `PlatformError` naming the ids of any that survive. A pid that has been given to another
    process since is left alone.
    """
    alive = [process for process in processes if _lives(process)]
    for process in alive:
        _send(process, kill=False)
    _, stubborn = psutil.wait_procs(alive, timeout=TERMINATE_SECONDS)
    for process in stubborn:
        _send(process, kill=True)
    _, survivors = psutil.wait_procs(stubborn, timeout=KILL_SECONDS)
    if survivors:
        raise PlatformError(
            f"processes {sorted(process.pid for process in survivors)} of the platform do not end;"
            " end them by hand."
        )
    return len(alive)


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _send(process: psutil.Process, *, kill: bool) -> None:
    try:
        if kill:
            process.kill()
        else:
            process.terminate()
    except psutil.NoSuchProcess:
        return
