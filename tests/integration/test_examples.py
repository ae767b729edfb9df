"""Every example as it ships: added to a copy of the project, checked, and through the wired DAGs to
an answer of the endpoint, a scored interval and a report.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from cli.authoring import examples
from cli.authoring.files import paths
from include.settings import PROJECT_ROOT
from tests.copies import in_copy, project_copy
from tests.integration.example_run import ASKED_ROWS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
NAMES = examples.examples(PROJECT_ROOT)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project that every example was added to."""
    root = project_copy(tmp_path_factory.mktemp("examples") / "copy", "proofs", "tests")
    for name in NAMES:
        added = in_copy(root, [".venv/bin/flightdeck", "add-example", name], ENV="test")
        assert added.returncode == 0, added.stdout
        assert f"Wrote data/{name}.parquet." in added.stdout
    return root


@pytest.fixture(scope="module")
def left(copy: Path) -> dict[str, Any]:
    """What the DAGs of all examples left, in one process and served by one endpoint."""
    run = [".venv/bin/python", "-m", "tests.integration.example_run", *NAMES]
    done = in_copy(copy, run)
    assert done.returncode == 0, done.stdout[-5000:]
    answers: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answers


@pytest.mark.parametrize("name", NAMES)
def test_an_example_becomes_a_use_case_that_holds_beside_the_others(name: str, copy: Path):
    for part, path in paths(copy, name).items():
        example = PROJECT_ROOT / examples.EXAMPLES / name / f"{part}.py"
        assert path.read_text() == example.read_text()
    assert pl.read_parquet(copy / "data" / f"{name}.parquet").height > 1000
    checked = in_copy(copy, [".venv/bin/flightdeck", "check", name], ENV="test")
    assert checked.returncode == 0, checked.stdout
    assert f"{name}: what is declared can be" in checked.stdout


@pytest.mark.parametrize("name", NAMES)
def test_it_is_served_as_it_ships(name: str, left: dict[str, Any]):
    answer = left[name]["answer"]
    assert (answer["use_case"], answer["model_version"]) == (name, 1)
    assert len(answer["predictions"]) == ASKED_ROWS
    for prediction in answer["predictions"]:
        assert prediction["flags"] == [], prediction
        if name == "state_births":
            assert prediction["value"] > 0.0
        else:
            shares = prediction["probabilities"]
            assert sum(shares.values()) == pytest.approx(1.0, abs=1e-5)
            assert prediction["class"] == max(shares, key=shares.get)


@pytest.mark.parametrize("name", NAMES)
def test_its_last_interval_is_scored_and_watched(name: str, left: dict[str, Any]):
    scored, watched = left[name]["batch_scoring"], left[name]["monitoring"]
    performance, report = watched["evaluate_performance"], watched["build_report"]
    assert scored["publish_predictions"]["rows"] >= performance["rows"] > 200
    assert scored["publish_predictions"]["positive_decisions"] is None
    assert performance["judged"] is True
    assert all(finding["passed"] for finding in performance["findings"]), performance["findings"]
    assert (report["error"], report["left_out"]) == (None, {})
    answer = "score" if name == "state_births" else "predicted_class"
    assert answer in {item["column"] for item in watched["detect_drift"]["columns"]}
    assert answer in Path(report["html"]).read_text()
