"""`flightdeck check NAME --history` on real flights: a dry run, a trial training and a back-test of
monitoring in a home that is thrown away.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from cli.application import invoke
from include.settings import Settings
from proofs.harness.home import home_settings

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:feast"),
]
NAME = "flight_delays"
SHARE = 0.1
WEEKLY = {
    "training": {"window_days": 28, "minimum_rows": 500},
    "monitoring": {"minimum_rows": 200},
    "problem": {"min_auc": 0.3, "max_brier": 0.5, "max_calibration_error": 0.5},
    "schedule": {"monitoring_cron": "@weekly"},
}
"""Two months of the flights are a history of three weeks behind a whole window each."""
MONTHS = ("--from", "2013-01", "--to", "2013-03")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    overlay = tmp_path / "overlay.json"
    overlay.write_text(json.dumps({NAME: WEEKLY}))
    return home_settings(tmp_path / "home", SHARE, SPEC_OVERLAY=overlay)


def test_gates_and_limits_of_monitoring_are_proposed_each_with_its_figure_and_nothing_is_left(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", "80")
    command = ["check", NAME, "--history", *MONTHS, "--trials", "1"]
    assert invoke(command, settings) == 0
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    assert [line for line in lines if len(line) > 80 and len(line.split()) > 2] == []
    folded = " ".join(printed.split())
    assert "a dry run over 2 intervals" in folded
    assert "a trial training on the 28 days before 2013-03-01" in folded
    assert "monitoring over 3 intervals, a training before each" in folded
    assert re.search(r"auc 0\.\d+ on [\d,]+ test rows, 95 % from 0\.\d+ to 0\.\d+", folded)
    assert "Monitoring, by 3 intervals after a training each" in folded
    assert "left out" not in folded
    assert re.search(r"95 % of \d+ effects \(\d+ inputs in 3 intervals\) are at most", folded)
    _, title, pasted = printed.partition("To paste into include/use_cases/flight_delays/spec.py:")
    assert title
    for field in ("min_auc", "max_brier", "max_calibration_error", "drift_effect"):
        assert re.search(rf"^    {field}=[0-9.]+,$", pasted, re.MULTILINE), field
    for field in ("drifted_share", "max_auc_drop", "max_calibration_gap"):
        assert re.search(rf"^    {field}=[0-9.]+,$", pasted, re.MULTILINE), field
    left = [path.name for path in settings.home.iterdir()]
    assert [name for name in left if name.startswith(("trial-", "check-"))] == []
    assert not Path(settings.tables_uri).exists()
    assert not (settings.home / "mlflow.db").exists()
