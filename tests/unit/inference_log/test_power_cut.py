"""A power cut takes what was not synced: whenever it comes, no acknowledged row of the log is lost
and none arrives twice.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from include.inference_log.journal_reader import segments
from include.inference_log.log import log_table, ship
from include.settings import Settings, load_settings
from include.tables.store import TableStore
from tests.unit.inference_log.log_helpers import Writer, answered

CASE = "flight_delays"
BATCHES, ROWS = 9, 5


class PowerCut(BaseException):
    """The machine is off: nothing handles it."""


class Disk:
    """The disk below a folder: it has a file when the file was synced after its last change and its
    name is in a synced folder.

    The cut comes before sync number `cut_at`; `sync` stands in for `os.fsync`.
    """

    def __init__(self, folder: Path, cut_at: int) -> None:
        self._folder = folder
        self._cut_at = cut_at
        self._real = os.fsync
        self._synced: dict[str, int] = {}
        self._named: set[str] = set()
        self.syncs = 0

    def sync(self, descriptor: int) -> None:
        """Sync a file or a folder, or be cut off."""
        if self.syncs == self._cut_at:
            raise PowerCut
        self.syncs += 1
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if path.is_dir():
            self._named |= {str(entry) for entry in path.iterdir()}
        else:
            self._synced[str(path)] = path.stat().st_mtime_ns
        self._real(descriptor)

    def lose_unsynced(self) -> list[str]:
        """What the next boot does not find, taken away."""
        lost = []
        for path in sorted(self._folder.rglob("*")):
            if path.is_file() and not self._has(path):
                path.unlink()
                lost.append(path.name)
        return lost

    def _has(self, path: Path) -> bool:
        names = [path, *(part for part in path.parents if self._folder in part.parents)]
        return (
            self._synced.get(str(path)) == path.stat().st_mtime_ns
            and {str(name) for name in names} <= self._named
        )


@contextmanager
def disk(folder: Path, cut_at: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    """A disk that loses power."""
    cut = Disk(folder, cut_at)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", cut.sync)
        yield cut


def home_with_rows(folder: Path) -> tuple[Settings, set[str]]:
    home = load_settings({"FLIGHTDECK_HOME": str(folder)})
    writer, ids = Writer(home), set()
    for _ in range(BATCHES):
        rows = answered(ROWS)
        writer.write(rows)
        ids |= {row.prediction_id for row in rows}
    writer.close()
    return home, ids


def shipped(home: Settings) -> list[str]:
    tables = TableStore(home.tables_uri)
    if not tables.exists(log_table(CASE)):
        return []
    return sorted(tables.read(log_table(CASE))["prediction_id"])


@pytest.mark.slow
def test_whenever_the_power_goes_every_acknowledged_row_arrives_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_at, ended, losses = 0, False, 0
    while not ended:
        home, ids = home_with_rows(tmp_path / str(cut_at))
        tables = Path(home.tables_uri)
        tables.mkdir(parents=True, exist_ok=True)
        with disk(tables, cut_at, monkeypatch) as power:
            try:
                ship(home, CASE)
                ended = True
            except PowerCut:
                pass
            losses += len(power.lose_unsynced())
        if ended:
            assert shipped(home) == sorted(ids), "what ship has answered for is gone"
        ship(home, CASE)
        assert shipped(home) == sorted(ids)
        assert list(segments(tmp_path / str(cut_at))) == []
        cut_at += 1
    assert cut_at > 5
    assert losses > 5
