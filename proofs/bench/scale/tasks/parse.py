"""Parsing the project's DAG files by the DAG processor's own function, one after the other."""

from __future__ import annotations

import gc
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from airflow.dag_processing import (
    manager,  # noqa: F401  # what the process that forks has loaded
    processor,
)

from include.errors import PlatformError
from include.processes.declarations import remember_neighbours
from include.settings import PROJECT_ROOT, load_settings
from plugins.loaded_code import LoadedCode

FORKS = 10
CHECK_SECONDS = 1200.0


def parse(arguments: dict[str, Any]) -> dict[str, Any]:
    """Processor seconds of every file in one process that has loaded the shared code, what a fork
    for a file takes with and without that, and the memory (MB) after as many files as `counts`
    say.
    """
    files = sorted((PROJECT_ROOT / "dags").glob("case_*.py"))
    bare = [_forked(file) for file in files[: arguments["bare"]]]
    checked = _checked_by_another(files)
    started = time.process_time()
    LoadedCode().load(PROJECT_ROOT)
    loading = time.process_time() - started
    forked = [_forked(file) for file in files[:FORKS]]
    gc.collect()
    seconds, memory = [], {0: _memory()}
    for number, file in enumerate(files, 1):
        started = time.process_time()
        dags = _parse(file)
        seconds.append(time.process_time() - started)
        if number in arguments["counts"]:
            memory[number] = _memory()
    return {
        "seconds": sum(seconds),
        "each": seconds,
        "forked": forked,
        "bare": bare,
        "loading": loading,
        "memory": memory,
        "dags": dags,
        "checked": checked,
    }


def _checked_by_another(files: list[Path]) -> float:
    """Seconds of `_check` in a fork: what a parse loads into this process every fork would find
    loaded, as it never does in the DAG processor, which parses nothing itself.
    """
    started = time.perf_counter()
    _run_in_fork(lambda: _check(files))
    return time.perf_counter() - started


def _check(files: list[Path]) -> None:
    """Parse the files, and wait until what they declare has been checked."""
    started, settings = time.perf_counter(), load_settings()
    remember_neighbours(settings)
    for file in files:
        _parse(file)
    folder = settings.home / "cache" / "declarations"
    while len(list(folder.glob("*.json"))) < len(files):
        if time.perf_counter() - started > CHECK_SECONDS:
            raise PlatformError(f"the declarations are not checked: {list(folder.iterdir())[:5]}")
        time.sleep(0.1)


def _parse(file: Path) -> int:
    """The file's DAGs, serialised as for the database."""
    request = processor.DagFileParseRequest(
        file=str(file), bundle_path=PROJECT_ROOT / "dags", bundle_name="dags-folder"
    )
    result = processor._parse_file(request, logging.getLogger(__name__))
    if result is None or result.import_errors:
        raise PlatformError(f"{file} cannot be parsed: {result}")
    return len(result.serialized_dags)


def _forked(file: Path) -> float:
    """Processor seconds of a fork that parses the file, as the DAG processor makes one."""
    return _run_in_fork(lambda: _parse(file))


def _run_in_fork(call: Callable[[], object]) -> float:
    """Call it in a fork; its processor seconds. Raises `PlatformError` where it fails."""
    child = os.fork()
    if child == 0:
        failed = 1
        try:
            call()
            failed = 0
        finally:
            os._exit(failed)
    _, status, used = os.wait4(child, 0)
    if status != 0:
        raise PlatformError(f"the fork that parses DAG files ended with status {status}")
    return used.ru_utime + used.ru_stime


def _memory() -> float:
    return float(psutil.Process().memory_full_info().uss) / 1e6
