"""Live traffic while a version is released, and what the ledger says came of every release."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from typing import Any

import httpx

from cli.demo.challenger import ACTOR
from cli.demo.traffic import ask
from include.release.ledger import Entry
from include.release.rollout.overrides import gate_override
from include.settings import Settings
from include.tls import trusted

CALLERS = 4
PAUSE_SECONDS = 0.025
"""Between two requests of a caller: over a hundred a second, which leaves Airflow its processor."""
RELEASE_COLUMNS = ("run", "version", "arm", "share", "rows", "verdict")
DELIBERATE = "deliberately bad"


class LiveTraffic:
    """Callers that ask until the block ends; how many were answered, and how many failed."""

    def __init__(self, settings: Settings, use_case: str, rows: Sequence[dict[str, Any]]) -> None:
        self.served = self.failed = 0
        self.first_failure = ""
        self._settings, self._use_case = settings, use_case
        self._rows = cycle(rows)
        self._lock, self._stop = threading.Lock(), threading.Event()

    @contextmanager
    def flowing(self) -> Iterator[LiveTraffic]:
        """Send requests for the time of the block."""
        threads = [threading.Thread(target=self._run, daemon=True) for _ in range(CALLERS)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def _run(self) -> None:
        settings = self._settings
        with httpx.Client(
            base_url=settings.serving_url,
            timeout=30.0,
            headers=settings.endpoint_headers,
            verify=trusted(),
        ) as client:
            while not self._stop.wait(PAUSE_SECONDS):
                with self._lock:
                    row = next(self._rows)
                failure = ask(client, self._use_case, row)
                with self._lock:
                    self.served += not failure
                    self.failed += bool(failure)
                    self.first_failure = self.first_failure or failure


def release_rows(rows: Sequence[Entry], runs: Sequence[str]) -> list[dict[str, Any]]:
    """What the ledger says of the deployments `runs`, one line for each stage and one for the end:
    the version, its arm and share, the rows that it answered, the verdict.
    """
    lines = []
    for run in runs:
        own = [row for row in rows if row.run == f"deployment/{run}"]
        lines += [line for row in own for line in _lines(row, rows, run)]
    return lines


def _lines(row: Entry, rows: Sequence[Entry], run: str) -> Iterator[dict[str, Any]]:
    verdict = row.evidence.get("verdict") or {}
    bad = gate_override(rows, row.version, row.digest)
    mark = f" ({DELIBERATE})" if bad is not None and bad.actor == ACTOR else ""
    line: dict[str, Any] = {"run": run, "version": f"{row.version}{mark}", "rows": None}
    if row.event == "verdict" and "challenger_rows" in verdict:
        share = _share(rows, row)
        arm = "shadow" if share == 0 else "challenger"
        outcome = row.evidence["outcome"]
        refused = [item["rule"] for item in verdict["findings"] if not item["passed"]]
        said = f"{outcome}: {', '.join(dict.fromkeys(refused))}" if refused else outcome
        count = verdict["challenger_rows"]
        yield {**line, "arm": arm, "share": share, "rows": count, "verdict": said}
    elif row.event == "promoted":
        yield {**line, "arm": "champion", "share": 1.0, "verdict": "promoted"}
    elif row.event == "rolled_back":
        back = row.evidence.get("back_to")
        said = "rolled back" if back is None else f"rolled back to version {back}"
        yield {**line, "arm": "none", "share": 0.0, "verdict": said}


def _share(rows: Sequence[Entry], verdict: Entry) -> float | None:
    """The share that the version had when it was judged."""
    before = [
        row
        for row in rows
        if row.event == "traffic" and row.run == verdict.run and row.number < verdict.number
    ]
    return float(before[-1].evidence["share"]) if before else None
