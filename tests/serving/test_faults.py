"""`make faults-serving ARGS=--quick`, as far as a minute allows: kills, bad versions, generated
requests.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cli.platform.environment import process_environment
from include.settings import PROJECT_ROOT

pytestmark = pytest.mark.slow


def test_kills_bad_versions_and_generated_requests_are_borne(tmp_path: Path) -> None:
    table = tmp_path / "serving.json"
    groups = [
        argument for name in ("kills", "models", "generated") for argument in ("--only", name)
    ]
    command = [
        sys.executable,
        "-m",
        "cli",
        "faults",
        "serving",
        "--quick",
        *groups,
        "--table",
        str(table),
    ]
    environment = process_environment({"PYTHONPATH": str(PROJECT_ROOT), "TMPDIR": str(tmp_path)})
    done = subprocess.run(
        command, cwd=PROJECT_ROOT, env=environment, capture_output=True, text=True, check=False
    )
    lines = json.loads(table.read_text()) if table.exists() else []
    assert done.returncode == 0, (lines, done.stdout[-3000:], done.stderr[-3000:])
    assert len(lines) == 7
    assert all(line["expected"] == line["seen"] for line in lines)
    assert {"fault", "expected", "seen", "detail"} == set(lines[0])
