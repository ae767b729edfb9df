"""The project that `make bench-scale` measures in, and what becomes of figures of earlier parts."""

from __future__ import annotations

import json
import subprocess
import sys

from include.settings import PROJECT_ROOT
from proofs.bench.figure import Figure
from proofs.bench.scale.main import merged
from proofs.bench.scale.project import project_environment, project_settings, write_project

PROGRAM = """
import json
from include.catalogue import load_valid
from include.settings import PROJECT_ROOT, load_settings

valid, refused = load_valid()
print(json.dumps({
    "valid": {name: [item.view for item in use_case.inputs if item.view]
              for name, use_case in valid.items()},
    "refused": refused,
    "dags": sorted(path.name for path in (PROJECT_ROOT / "dags").glob("*.py")),
}))
"""


def test_the_project_holds_copies_under_other_names_and_nothing_else(tmp_path):
    root = write_project(tmp_path / "project", use_cases=2, plain=1)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=root,
        env=project_environment(root, project_settings(root)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "valid": {
            "case_0001": ["case_0001_by_box"],
            "case_0002": ["case_0002_by_box"],
            "case_plain_0001": [],
        },
        "refused": {},
        "dags": ["__init__.py", "case_0001.py", "case_0002.py", "case_plain_0001.py"],
    }
    assert root != PROJECT_ROOT


def test_a_part_that_is_measured_alone_replaces_its_own_figures():
    earlier = [Figure(name, 1.0, None, "").as_json() for name in ("parsing", "endpoint")]
    rows = merged(earlier, [Figure("parsing", 2.0, 3.0, "again")])
    assert [(row["name"], row["value"], row["reached"]) for row in rows] == [
        ("endpoint", 1.0, None),
        ("parsing", 2.0, True),
    ]
