"""A small training on real flights, trained again from its record in a clean process, and records
that no longer hold.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from urllib.parse import unquote, urlsplit

import polars as pl
import pytest

from cli.records import reproduce as command
from cli.records.tracking import tracking_settings
from include.errors import PlatformError
from include.registry import versions
from include.registry.client import connect, readable_artifact
from include.settings import load_settings
from include.tables.store import TableStore
from include.training import reproduce as again
from include.training.record import LOCK_TAG, RECORD_FILE, record_digest
from include.use_cases.flight_delays.spec import USE_CASE
from proofs.harness.ports import free_port
from tests.unit.scoring.world import FLIGHTS, World, build_world

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*type hint is inferred as AnyType:UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:feast"),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> World:
    """A world of its own: these tests damage it."""
    return build_world(tmp_path_factory.mktemp("reproduced"))


@pytest.fixture(scope="module")
def recorded(world, tmp_path_factory) -> again.Recorded:
    return again.load(world.settings, USE_CASE, world.version, tmp_path_factory.mktemp("record"))


def blocking(world: World) -> again.Finding:
    report = command.reproduce(world.settings, USE_CASE.name, world.version)
    assert (report.outcome, report.proven, report.comparison) == ("not possible", False, None)
    (finding,) = [finding for finding in report.findings if finding.blocking]
    return finding


def record_file(world: World) -> Path:
    run = connect(world.settings).get_run(
        versions.version(world.settings, USE_CASE, world.version).run_id
    )
    return Path(unquote(urlsplit(run.info.artifact_uri).path)) / RECORD_FILE


def test_the_same_bytes_come_out_of_the_record_in_a_clean_process(world):
    report = command.reproduce(world.settings, USE_CASE.name, world.version)
    assert (report.outcome, report.proven) == ("identical", True), command.describe(report)
    assert report.comparison.digest == report.registered_digest == world.digest
    assert all(report.comparison.files.values())
    assert report.comparison.golden_difference == report.comparison.sample_difference == 0.0
    assert report.comparison.sample_rows > 100
    written = json.loads(command.write_report(world.settings, report).read_text())
    assert written["proven"] is True
    assert "byte for byte" in command.describe(report)
    assert not list(world.settings.home.glob("reproduce-*")), "the scratch folder is removed"


def test_the_record_holds_what_the_fit_needs(recorded, world):
    record = recorded.record
    assert record.specification == FLIGHTS, (
        "the specification as declared then, not the one of the checkout"
    )
    assert record.threads == world.settings.training_threads
    assert set(record.boundaries) == {"validation_start", "test_start"}
    tags = recorded.version.tags
    assert tags[LOCK_TAG.removeprefix("flightdeck.")] == record.lock_digest
    assert len(record.lock_digest) == 64
    assert record.environment.libraries["xgboost"]


def test_another_seed_gives_another_model_and_is_noticed(recorded, world, tmp_path):
    training = recorded.record.specification.training.model_copy(update={"seed": 7})
    other = recorded.record.specification.model_copy(update={"training": training})
    package = command.train_in_clean_process(
        recorded.record.model_copy(update={"specification": other}), world.settings, tmp_path
    )
    comparison = again.compare(recorded, package, world.settings)
    assert comparison.digest != recorded.version.digest
    assert comparison.files["transform.json"]
    assert not comparison.files["model.ubj"]
    assert comparison.sample_difference > again.TOLERANCE
    assert again.judge(comparison, recorded.version.digest, []) == "different"


def test_a_record_that_was_edited_is_refused(world):
    file = record_file(world)
    text = file.read_text()
    try:
        file.write_text(text.replace('"seed": 20130101', '"seed": 20130102'))
        assert file.read_text() != text
        finding = blocking(world)
        assert (finding.what, finding.found) == (
            "training record",
            f"digest {record_digest(file.read_text())}",
        )
        file.unlink()
        assert blocking(world).what == "training record"
    finally:
        file.write_text(text)


def test_a_forged_record_contradicts_the_package(world):
    file = record_file(world)
    text = file.read_text()
    forged = text.replace('"seed": 20130101', '"seed": 20130102')
    client = connect(world.settings)
    original = client.get_model_version(USE_CASE.name, str(world.version)).tags["record_digest"]
    try:
        file.write_text(forged)
        client.set_model_version_tag(
            USE_CASE.name, str(world.version), "record_digest", record_digest(forged)
        )
        finding = blocking(world)
        assert (finding.what, finding.recorded, finding.found) == ("seed", "20130102", "20130101")
    finally:
        file.write_text(text)
        client.set_model_version_tag(USE_CASE.name, str(world.version), "record_digest", original)


def test_a_snapshot_that_was_altered_or_vacuumed_is_named(recorded, world, tmp_path):
    table = Path(world.settings.tables_uri) / recorded.record.snapshot.name
    kept = shutil.copytree(table, tmp_path / "kept")
    try:
        (file,) = table.glob("*.parquet")
        (log,) = (table / "_delta_log").glob("*.json")
        size = file.stat().st_size
        TableStore(world.settings.tables_uri).read(recorded.record.snapshot.name).with_columns(
            late=1 - pl.col("late")
        ).write_parquet(file)
        assert blocking(world).what == "snapshot", "a file of another size"
        log.write_text(log.read_text().replace(f'"size":{size},', f'"size":{file.stat().st_size},'))
        finding = blocking(world)
        assert finding.what == "snapshot"
        assert "has digest" in finding.found
        assert recorded.record.snapshot.digest[:16] in finding.recorded
        file.unlink()
        assert "vacuumed" in blocking(world).advice
        shutil.rmtree(table)
        assert "vacuumed" in blocking(world).advice
    finally:
        shutil.rmtree(table, ignore_errors=True)
        shutil.copytree(kept, table)


def test_a_missing_run_or_version_is_named(world):
    client = connect(world.settings)
    run_id = versions.version(world.settings, USE_CASE, world.version).run_id
    client.delete_run(run_id)
    try:
        finding = blocking(world)
        assert (finding.what, finding.found) == ("MLflow run", "deleted")
    finally:
        client.restore_run(run_id)
    report = command.reproduce(world.settings, USE_CASE.name, 99)
    assert [finding.what for finding in report.findings] == ["version"]


def test_what_differs_is_told_with_what_to_do(recorded, world):
    record = recorded.record
    libraries = {**record.environment.libraries, "xgboost": "1.0"}
    changed = record.model_copy(
        update={
            "code_commit": "a" * 40,
            "lock_digest": "b" * 64,
            "environment": record.environment.model_copy(
                update={"libraries": libraries, "processor": "abacus"}
            ),
        }
    )
    findings = {finding.what: finding for finding in again.differences(changed, world.settings)}
    assert set(findings) == {"code commit", "lock digest", "library xgboost", "processor"}
    assert f"git worktree add ../flightdeck-aaaaaaaa {'a' * 40}" in findings["code commit"].advice
    assert not any(finding.blocking for finding in findings.values())


@pytest.mark.parametrize(
    ("difference", "elsewhere", "outcome"),
    [(0.0005, True, "within tolerance"), (0.0005, False, "different"), (0.01, True, "different")],
)
def test_scores_count_only_where_the_environment_differs(difference, elsewhere, outcome):
    comparison = again.Comparison("new", {"model.ubj": False}, 20, 0.0, 1000, difference)
    findings = [again.Finding("processor", "this", "that", "")] if elsewhere else []
    assert again.judge(comparison, "old", findings) == outcome


def test_the_database_stands_in_for_a_server_that_is_down(tmp_path):
    settings = load_settings(
        {"FLIGHTDECK_HOME": str(tmp_path), "FLIGHTDECK_MLFLOW_PORT": str(free_port())}
    )
    with pytest.raises(PlatformError, match="make up"):
        tracking_settings(settings)
    (tmp_path / "mlflow").mkdir()
    (tmp_path / "mlflow" / "mlflow.db").touch()
    chosen = tracking_settings(settings)
    assert chosen.mlflow_tracking_uri == f"sqlite:///{tmp_path}/mlflow/mlflow.db"
    served = readable_artifact(
        "mlflow-artifacts:/1/abc/artifacts/record.json", chosen.mlflow_tracking_uri
    )
    assert served == (tmp_path / "mlflow/artifacts/1/abc/artifacts/record.json").as_uri()
    assert (
        readable_artifact("s3://bucket/record.json", chosen.mlflow_tracking_uri)
        == "s3://bucket/record.json"
    )
