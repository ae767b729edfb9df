"""A step as a process of its own: JSON in, JSON out, and an exit code that says how it ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from include.processes.features import ingest_source
from include.quality.landing import landing_name
from include.settings import PROJECT_ROOT
from include.step_documents import DONE, FAILED, REFUSED, WRONG, step_document
from include.steps import StepContext
from include.tables.store import TableStore
from proofs.harness.home import home_settings
from tests.step_runs import run_step
from tests.unit.features.world import context_of

pytestmark = pytest.mark.slow  # every test starts a process

DAYS = (datetime(2013, 2, 8, tzinfo=UTC), datetime(2013, 2, 15, tzinfo=UTC))


@pytest.fixture
def context(tmp_path: Path) -> StepContext:
    return context_of(home_settings(tmp_path, share=0.1), *DAYS)


def start(home: Path, step: str, document: Any, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a step as a process with `home` as its run-time folder, the document on its input."""
    environment = {
        **os.environ,
        "FLIGHTDECK_ENV": "test",
        "FLIGHTDECK_HOME": str(home),
        "FLIGHTDECK_SAMPLE_SHARE": "0.1",
    }
    return subprocess.run(
        [sys.executable, "-m", "include.processes.run", step, *options],
        input=document if isinstance(document, str) else json.dumps(document),
        capture_output=True,
        text=True,
        cwd=PROJECT_ROOT,
        env=environment,
        timeout=120,
        check=False,
    )


def test_a_step_that_is_done_writes_its_result_to_standard_output_or_a_file(context, tmp_path):
    document = step_document(context, {})
    printed = start(tmp_path, "features:ingest_source", document)
    assert printed.returncode == DONE, printed.stderr
    result = json.loads(printed.stdout)
    assert result["tables"]["raw/flights"]["rows"] > 0
    assert result == run_step(ingest_source, context), "the process works in the folder it was told"
    source, output = tmp_path / "document.json", tmp_path / "result.json"
    source.write_text(json.dumps(document))
    filed = start(
        tmp_path, "features:ingest_source", "", "--input", str(source), "--output", str(output)
    )
    assert (filed.returncode, filed.stdout) == (DONE, ""), filed.stderr
    assert json.loads(output.read_text()) == result
    assert [path.name for path in tmp_path.glob("*result.json*")] == ["result.json"]


def test_a_refusal_is_an_exit_code_of_its_own_and_its_verdict_is_written(context, tmp_path):
    landed = run_step(ingest_source, context)
    tables, name = (
        TableStore(context.settings.tables_uri),
        landing_name("raw/weather", context.interval),
    )
    tables.replace_all(name, tables.read(name).with_columns(pl.lit(140.0).alias("humidity")))
    landed["tables"]["raw/weather"]["version"] += 1
    output = tmp_path / "verdict.json"
    document = step_document(context, {"landed": landed})
    refused = start(tmp_path, "features:validate_data", document, "--output", str(output))
    assert refused.returncode == REFUSED, refused.stderr
    verdict = json.loads(output.read_text())
    assert verdict["accepted"] is False
    assert "humidity" in verdict["reasons"][0]


def test_a_failure_names_its_kind_and_writes_no_result(context, tmp_path):
    output = tmp_path / "result.json"
    failed = start(
        tmp_path,
        "deployment:select_version",
        step_document(context, {}),
        "--output",
        str(output),
    )
    assert failed.returncode == FAILED, failed.stderr
    assert "deployment:select_version: " in failed.stderr
    assert "Traceback" not in failed.stderr
    assert not output.exists()


INTERVAL = {"start": "2013-02-08T00:00:00+00:00", "end": "2013-02-15T00:00:00+00:00"}
CONTEXT = {
    "use_case": "flight_delays",
    "interval": INTERVAL,
    "run": {"process": "features", "run_id": "r"},
}


@pytest.mark.parametrize(
    ("step", "document", "messages"),
    [
        ("features:ingest_source", "no JSON", ["The document is wrong at the whole", "`context`"]),
        ("features:ingest_source", {}, ["wrong at context", "Field required"]),
        (
            "features:ingest_source",
            {"context": {**CONTEXT, "interval": {"start": "2013-02-08", "end": "soon"}}},
            ["wrong at context.interval.end"],
        ),
        (
            "features:ingest_source",
            {"context": {**CONTEXT, "interval": {**INTERVAL, "end": "2013-02-15T00:00:00"}}},
            ["has no time zone"],
        ),
        (
            "features:ingest_sorce",
            {"context": CONTEXT},
            ["Did you mean 'ingest_source'?", "Its steps are"],
        ),
        ("feature:ingest_source", {"context": CONTEXT}, ["<process>:<function>"]),
        (
            "features:validate_data",
            {"context": CONTEXT, "inputs": {"landd": {}}},
            ["no input 'landd'", "Did you mean 'landed'?"],
        ),
        ("features:validate_data", {"context": CONTEXT}, ["lacks ['landed']", "LandedTables"]),
    ],
)
def test_what_is_wrong_with_the_call_is_named_with_what_is_right(
    tmp_path, step, document, messages
):
    wrong = start(tmp_path, step, document)
    assert (wrong.returncode, wrong.stdout) == (WRONG, ""), wrong.stderr
    assert wrong.stderr.startswith(f"{step}: ")
    assert "Traceback" not in wrong.stderr
    for message in messages:
        assert message in wrong.stderr
