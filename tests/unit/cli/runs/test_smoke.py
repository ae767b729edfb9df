"""The whole pipeline in a home of its own: a refusal, and nothing left.

One that is accepted runs in `tests/unit/cli/bundles/test_real_pipeline.py`, as a deployment.
"""

import os
import subprocess
import sys

import psutil
import pytest

from cli.application import invoke
from cli.platform.environment import process_environment
from cli.runs.verdict import REFUSED
from include.errors import PlatformError
from include.settings import PROJECT_ROOT
from tests.processes import command_of
from tests.unit.settings.production import production

pytestmark = pytest.mark.slow


def smoke(folder, *options, environment="staging"):
    """What the command prints, with the exit code; `folder` gets its temporary files."""
    for name in ("home", "tmp"):
        (folder / name).mkdir(exist_ok=True)
    variables = {
        "FLIGHTDECK_ENV": environment,
        "FLIGHTDECK_HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "COLUMNS": "80",
    }
    done = subprocess.run(
        [sys.executable, "-m", "cli", "smoke", "flight_delays", *options],
        env=process_environment(variables),
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == "", done.stderr
    return done.returncode, done.stdout


def left_behind(folder):
    """Files of the home, what the command made beside, and processes that work there."""
    homes = list((folder / "tmp").glob("flightdeck-smoke-*"))
    running = [
        process.pid
        for process in psutil.process_iter()
        if process.pid != os.getpid() and str(folder) in " ".join(command_of(process))
    ]
    return [*(folder / "home").iterdir(), *homes, *running]


def test_a_pipeline_whose_gates_refuse_says_why_and_touches_nothing(tmp_path):
    """A twentieth of one month is too little to be judged by."""
    code, printed = smoke(tmp_path, "--to", "2013-02", "--share", "0.05")
    assert code == REFUSED, printed
    assert "refused by" in printed
    assert "  1. " in printed
    assert "answers: accepted" not in printed
    assert printed.endswith("yields no model that answers; what serves was not touched.\n")
    assert left_behind(tmp_path) == []


def test_production_is_not_where_a_pipeline_is_tried(tmp_path, monkeypatch):
    for name, value in production(tmp_path).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(PlatformError, match=r"comes before production.*FLIGHTDECK_ENV=staging"):
        invoke(["smoke", "flight_delays"])
