"""The batch bench on a few rows: the same scores on both sides, and rows of the form that the table
needs.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from proofs.bench.batch import main as batch

pytestmark = [pytest.mark.slow]


def test_both_ways_score_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLIGHTDECK_HOME", str(tmp_path))
    monkeypatch.setattr(batch, "QUICK_ROWS", 20_000)
    speed, memory = batch.measure_batch(quick=True)
    for row in (speed, memory):
        assert set(row) == {"name", "ratio", "aim", "reached", "detail"}
        assert row["ratio"] > 0.0
    assert "mean scores equal" in speed["detail"]
    assert "20,000 rows" in speed["detail"]
    assert not (tmp_path / "bench" / "batch-home").exists()
