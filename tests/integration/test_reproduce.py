"""The version that the wired training registered, trained again by the one command; and the bench, on a small part."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from include.settings import PROJECT_ROOT

pytestmark = [pytest.mark.slow]


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        cwd=PROJECT_ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_registered_version_is_trained_again_byte_for_byte(first_training, settings):
    registered = first_training.results["register_model"]
    done = command("reproduce", "flight_delays", str(registered["version"]))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the same model, byte for byte" in done.stdout
    report = json.loads((settings.home / "reproduce" / f"flight_delays-{registered['version']}.json").read_text())
    assert (report["outcome"], report["proven"]) == ("identical", True)
    assert report["comparison"]["digest"] == report["registered_digest"] == registered["digest"]


def test_a_version_that_is_not_there_is_not_proven(first_training, settings):
    done = command("reproduce", "flight_delays", "77")
    assert done.returncode == 1
    assert "MISSING   version" in done.stdout


def test_the_make_target_passes_model_and_version():
    plan = subprocess.run(
        ["make", "-n", "reproduce", "MODEL=parcels", "VERSION=4"], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True
    )
    assert 'reproduce "parcels" "4"' in plan.stdout


def test_the_bench_compares_identical_rows(tmp_path):
    done = command("bench-training", "--quick", "--only", "joins", FLIGHTDECK_HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    rows = {row["name"]: row for row in json.loads((tmp_path / "bench" / "training-quick.json").read_text())}
    join = rows["point-in-time join, 5,000 rows"]
    assert "5000 of 5000 rows, identical" in join["detail"]
    assert join["ratio"] > 0
    assert join["aim"] == 1.3
    assert not (tmp_path / "bench" / "home").exists(), "the tables are removed"
