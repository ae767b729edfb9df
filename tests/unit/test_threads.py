"""Whether libraries find their threads as `include.threads` wants them."""

from __future__ import annotations

import subprocess
import sys

from cli.platform.environment import common_environment, process_environment
from include.settings import PROJECT_ROOT, load_settings
from include.threads import THREADS, share_cores

COMMAND = """
import os, sys
import cli.application
from include.threads import THREADS
loaded = {"numpy", "xgboost"} & set(sys.modules)
cli.application.run(["--help"])
print(sorted(loaded), [os.environ.get(name) for name in THREADS], file=sys.stderr)
"""


def test_a_command_sets_them_before_a_library_reads_them():
    bare = {name: value for name, value in process_environment({}).items() if name not in THREADS}
    done = subprocess.run(
        [sys.executable, "-c", COMMAND],
        cwd=PROJECT_ROOT,
        env=bare,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr.splitlines()[-1] == f"[] {[*THREADS.values()]}"


def test_what_somebody_has_set_stays(monkeypatch, tmp_path):
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "4")
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    share_cores()
    settings = load_settings({"FLIGHTDECK_HOME": str(tmp_path)})
    platform = process_environment(common_environment(settings))
    for name, value in {"OPENBLAS_NUM_THREADS": "4", "OMP_WAIT_POLICY": "PASSIVE"}.items():
        assert platform[name] == value
