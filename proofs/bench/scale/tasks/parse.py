"""Parsing the project's DAG files by the DAG processor's own function, one after the other."""

from __future__ import annotations

import gc
import logging
import os
import time
from pathlib import Path
from typing import Any

import psutil
from airflow.dag_processing import processor

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
    checked = _check(files)
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


def _check(files: list[Path]) -> float:
    """Seconds until what the files declare has been checked, as their first parse asks for."""
    started, settings = time.perf_counter(), load_settings()
    remember_neighbours(settings)
    for file in files:
        _parse(file)
    folder = settings.home / "cache" / "declarations"
    while len(list(folder.glob("*.json"))) < len(files):
        if time.perf_counter() - started > CHECK_SECONDS:
            raise PlatformError(f"the declarations are not checked: {list(folder.iterdir())[:5]}")
        time.sleep(0.1)
    return time.perf_counter() - started


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
    child = os.fork()
    if child == 0:
        failed = 1
        try:
            failed = 0 if _parse(file) else 1
        finally:
            os._exit(failed)
    _, status, used = os.wait4(child, 0)
    if status != 0:
        raise PlatformError(f"the fork that parsed {file} ended with status {status}")
    return used.ru_utime + used.ru_stime


def _memory() -> float:
    return float(psutil.Process().memory_full_info().uss) / 1e6
