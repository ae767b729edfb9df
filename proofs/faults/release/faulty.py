"""The endpoint with a version that misbehaves on purpose: the server's application for the drills
of releases.

`DRILL_FILE` names a JSON file `{"digest", "errors", "first", "slow_seconds", "leak_bytes"}`, read
again whenever it changes, so that a version behaves while it is loaded and checked, and misbehaves
when it serves: the share of rows that fail, how many rows fail at first, how long a batch takes
more, how many bytes a row leaves behind. A package holds no code that could do so by itself; a
version that answers wrongly is a real package of its own (`world.py`).
"""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from proofs.faults.release.drill_file import DRILL_FILE
from serving.asgi import application
from serving.scoring.scorer import Scorer

__all__ = ["application"]

PARTS = 10_000

_score = Scorer.score


class Drill:
    """What the file says now; `failed` rows have failed and `leaked` was left since it changed."""

    def __init__(self, path: Path) -> None:
        self.path, self.stamp = path, 0
        self.content: dict[str, Any] = {}
        self.failed = 0
        self.leaked: list[bytes] = []

    def of(self, digest: str) -> Mapping[str, Any]:
        """The misbehaviour of a version; empty for one that behaves."""
        stamp = self.path.stat().st_mtime_ns if self.path.exists() else 0
        if stamp != self.stamp:
            self.content = json.loads(self.path.read_text()) if stamp else {}
            self.stamp, self.failed, self.leaked = stamp, 0, []
        return self.content if self.content.get("digest") == digest else {}

    def fails(self, how: Mapping[str, Any], sources: Sequence[Mapping[str, Any]]) -> bool:
        """Say whether rows fail now."""
        if self.failed < how.get("first", 0):
            self.failed += len(sources)
            return True
        limit = PARTS * how.get("errors", 0.0)
        return limit > 0.0 and any(_part(source) < limit for source in sources)


DRILL = Drill(Path(os.environ[DRILL_FILE]))


def score(scorer: Scorer, sources: Sequence[Mapping[str, Any]]) -> tuple[np.ndarray, list[Any]]:
    """Score as the product does, and misbehave as the drill says."""
    how = DRILL.of(scorer.model.digest)
    if how:
        if DRILL.fails(how, sources):
            raise ZeroDivisionError("a drill")
        if how.get("slow_seconds"):
            time.sleep(how["slow_seconds"])
        if how.get("leak_bytes"):
            DRILL.leaked.extend(os.urandom(int(how["leak_bytes"])) for _ in sources)
    return _score(scorer, sources)


def _part(source: Mapping[str, Any]) -> int:
    """Where a row lies among `PARTS`, the same each time."""
    return zlib.crc32(json.dumps(source, default=str, sort_keys=True).encode()) % PARTS


Scorer.score = score  # type: ignore[method-assign, assignment]  # the drill is this very replacement
