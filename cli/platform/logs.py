"""Reading the platform's logs: the last lines, and what is written from then on."""

from __future__ import annotations

import heapq
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

POLL_SECONDS = 0.3


def names(folder: Path) -> list[str]:
    """Names of the logs in `folder`."""
    return sorted(path.stem for path in folder.glob("*.log"))


def last_lines(folder: Path, logs: Sequence[str], count: int) -> list[str]:
    """The last `count` lines of the logs together, in the order of their times."""
    tails = (_tail(folder / f"{name}.log", count) for name in logs)
    dated = [
        [(moment, line) for moment, line in _dated(tail, _prefix(name, logs))]
        for name, tail in zip(logs, tails, strict=True)
    ]
    merged = heapq.merge(*dated, key=lambda entry: entry[0])
    return [line for _, line in deque(merged, maxlen=count)]


def _tail(path: Path, count: int) -> deque[str]:
    with path.open(encoding="utf-8", errors="replace") as file:
        return deque((line.rstrip("\n") for line in file), maxlen=count)


def _prefix(name: str, logs: Sequence[str]) -> str:
    return f"{name}  " if len(logs) > 1 else ""


def _dated(lines: Sequence[str], prefix: str) -> Iterator[tuple[str, str]]:
    # A line without a time, of an older platform, belongs to the line before it.
    moment = ""
    for line in lines:
        words = line.lstrip("[").split(maxsplit=1)
        if words and words[0][:4].isdigit():
            moment = max(
                moment, line.lstrip("[").replace(" ", "T", 1)[: len("2026-01-01T00:00:00.000")]
            )
        yield moment, f"{prefix}{line}"


def follow(folder: Path, logs: Sequence[str]) -> Iterator[str]:
    """What is written from now on, without end; a log that is rotated or begins anew is read on."""
    positions = {name: _size(folder / f"{name}.log") for name in logs}
    unfinished = dict.fromkeys(logs, b"")
    while True:
        for name in logs:
            path = folder / f"{name}.log"
            if _size(path) < positions[name]:
                positions[name], unfinished[name] = 0, b""
            content = _read_from(path, positions[name])
            positions[name] += len(content)
            *complete, unfinished[name] = (unfinished[name] + content).split(b"\n")
            for line in complete:
                yield f"{_prefix(name, logs)}{line.decode(errors='replace')}"
        time.sleep(POLL_SECONDS)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _read_from(path: Path, position: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(position)
            return file.read()
    except FileNotFoundError:
        return b""
