"""All training steps on a tenth of the real flights of January to March 2013, with MLflow on
SQLite.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from include.data_sets.snapshot import Snapshot, read
from include.errors import DataError, DigestMismatch, RegistryError
from include.interval import Interval
from include.model.package import load_model, package_digest, source_columns
from include.processes import training as steps
from include.processes.results import TrainedModel
from include.registry import versions
from include.registry.client import connect
from include.registry.logged_model import example_frame
from include.release.ledger import Ledger
from include.settings import Settings
from include.spec import Slice
from include.steps import RunInfo, StepContext
from include.tables.store import TableStore
from include.training.tracking import mark_failed
from include.triggers.decisions import read_decisions
from include.use_cases.flight_delays.spec import USE_CASE
from include.verdict import Finding, GateVerdict
from proofs.harness.data import land
from proofs.harness.databases import mlflow_at
from proofs.harness.home import BUSY_MACHINE, home_settings
from tests.step_runs import run_step
from tests.unit.model.synthetic import under_limits

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*type hint is inferred as AnyType:UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:feast"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:great_expectations"),
]

QUARTER = Interval(datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 4, 1, tzinfo=UTC))
ORDER = (
    steps.open_run,
    steps.build_snapshot,
    steps.validate_snapshot,
    steps.split_data,
    steps.tune_model,
    steps.train_model,
    steps.evaluate_model,
    steps.check_gates,
    steps.register_model,
)
EASY = under_limits(USE_CASE, min_auc=0.55, max_slice_auc_drop=0.5, **BUSY_MACHINE)
SMALL = USE_CASE.training.model_copy(update={"trials": 2, "boost_rounds": 40})
SLICES = (Slice(column="origin", minimum_rows=300), Slice(column="carrier", minimum_rows=100))
FLIGHTS = EASY.model_copy(update={"training": SMALL, "slices": SLICES})


@dataclass
class Trained:
    """A finished run: its context and every step's result."""

    context: StepContext
    results: dict[str, Any]

    @property
    def mlflow_run_id(self) -> str:
        return self.results["open_run"]["mlflow_run_id"]


def run_steps(
    context: StepContext, results: dict[str, Any] | None = None, *, until: str = "register_model"
) -> Trained:
    """What the DAG does: JSON between the steps, and nothing after a refusal."""
    results = dict(results or {})
    for step in ORDER:
        if step.__name__ in results:
            continue
        results[step.__name__] = run_step(step, context, results)
        if step.__name__ == until or results[step.__name__].get("accepted") is False:
            break
    return Trained(context, results)


def with_run(context: StepContext, run_id: str, **gates: float) -> StepContext:
    use_case = under_limits(context.use_case, **gates)
    return replace(context, use_case=use_case, run=replace(context.run, run_id=run_id))


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> Settings:
    settings = home_settings(tmp_path_factory.mktemp("home"), 0.1)
    mlflow_at(settings.home / "mlflow.db")
    land(settings, QUARTER)
    return settings


@pytest.fixture(scope="module")
def first(settings) -> Trained:
    causes = ({"alarm": "performance", "month": "2013-03"},)
    run = RunInfo(
        "training",
        "asset__2013-04-01T00:00:00+00:00_a",
        "asset",
        triggered_by="monitoring",
        causes=causes,
    )
    return run_steps(StepContext(FLIGHTS, settings, QUARTER, run))


@pytest.fixture(scope="module")
def client(settings):
    return connect(settings)


def test_a_good_training_becomes_the_challenger(first, settings):
    assert first.results["register_model"] == {
        "version": 1,
        "digest": first.results["train_model"]["digest"],
    }
    challenger = versions.challenger(settings, FLIGHTS)
    assert challenger is not None
    assert (challenger.version, challenger.run_id) == (1, first.mlflow_run_id)
    assert challenger.tags["gate.auc"] == "passed"
    assert (
        challenger.tags["snapshot_digest"] == first.results["build_snapshot"]["snapshot"]["digest"]
    )
    row = Ledger(settings).rows(FLIGHTS.name)[0]
    assert (row.event, row.version, row.digest) == ("registered", 1, challenger.digest)
    assert row.evidence["mlflow_run_id"] == first.mlflow_run_id


def test_the_run_says_what_was_done_with_what_and_why(first, client):
    run = client.get_run(first.mlflow_run_id)
    snapshot = first.results["build_snapshot"]["snapshot"]
    assert run.info.status == "FINISHED"
    assert run.data.tags["decision"] == "accepted"
    assert run.data.tags["flightdeck.trigger"] == "asset"
    assert run.data.tags["flightdeck.triggered_by"] == "monitoring"
    assert json.loads(run.data.tags["flightdeck.causes"]) == [
        {"alarm": "performance", "month": "2013-03"}
    ]
    assert run.data.tags["flightdeck.code_commit"] == first.results["open_run"]["code_commit"]
    assert run.data.params["snapshot"] == f"{snapshot['name']}@{snapshot['version']}"
    assert float(run.data.params["xgboost.eta"]) == first.results["tune_model"]["parameters"]["eta"]
    dataset = run.inputs.dataset_inputs[0].dataset
    assert dataset.digest == snapshot["digest"][:36]
    assert json.loads(dataset.source)["delta_table_version"] == snapshot["version"]


def test_the_run_has_metrics_of_every_split_and_slice(first, client):
    metrics = client.get_run(first.mlflow_run_id).data.metrics
    for split in ("train", "validation", "test"):
        assert metrics[f"{split}.n"] == first.results["split_data"]["rows"][split]
        assert 0.5 < metrics[f"{split}.auc"] < 1.0
    assert metrics["test.slice.origin.EWR.n"] >= 300
    assert 0.4 < metrics["test.slice.origin.EWR.auc"] < 1.0


def test_the_run_has_tables_plots_model_and_trials(first, client):
    found = {item.path for item in client.list_artifacts(first.mlflow_run_id)}
    tables = {"slices.json", "gates.json", "trials.json", "attributions.json", "intervals.json"}
    tables.add("attribution_rows.json")
    assert {"evaluation.json", "inspection.json", "plots", *tables} <= found
    plots = {Path(item.path).name for item in client.list_artifacts(first.mlflow_run_id, "plots")}
    assert plots == {
        *("roc.png", "calibration.png", "importance.png"),
        *("attributions.png", "attribution_rows.png"),
    }
    children = trials_of(first, client)
    assert [run.data.tags["flightdeck.trial"] for run in children] == ["0", "1"]
    recorded = {
        int(run.data.tags["flightdeck.trial"]): run.data.metrics["validation.logloss"]
        for run in children
    }
    assert recorded == {
        trial["number"]: trial["validation_logloss"]
        for trial in first.results["tune_model"]["trials"]
    }


def test_the_version_page_tells_why_it_was_accepted(first, client):
    page = client.get_model_version(FLIGHTS.name, "1").description
    snapshot = first.results["build_snapshot"]["snapshot"]
    for expected in (
        "Accepted",
        "bootstrap_rule",
        "| 0.55 |",
        snapshot["digest"],
        first.results["open_run"]["code_commit"],
    ):
        assert expected in page


def test_the_decision_is_in_the_table_of_trainings(first, settings):
    row = (
        read_decisions(FLIGHTS, settings)
        .filter(pl.col("run_id") == first.context.run.run_id)
        .row(0, named=True)
    )
    assert (row["decision"], row["version"], row["champion_version_before"]) == (
        "accepted",
        1,
        None,
    )
    assert json.loads(row["causes_json"])[0]["alarm"] == "performance"
    assert (
        json.loads(row["metrics_json"])["auc"] == first.results["evaluate_model"]["metrics"]["auc"]
    )


def without_times(results: dict[str, Any]) -> dict[str, Any]:
    """The steps' results without the times and the memory that were measured: those differ each
    time.
    """
    inspection = results["evaluate_model"]["inspection"]
    steady = {
        name: value
        for name, value in inspection["measured"].items()
        if not name.endswith(("_ms", "_mb", "_seconds"))
    }
    verdict = results["check_gates"]
    rows = [row for row in verdict["findings"] if row["rule"] != "latency"]
    evaluated = {**results["evaluate_model"], "inspection": {**inspection, "measured": steady}}
    return {**results, "evaluate_model": evaluated, "check_gates": {**verdict, "findings": rows}}


def test_a_run_that_is_repeated_as_a_whole_leaves_no_second_anything(first, settings, client):
    again = run_steps(first.context)
    assert without_times(again.results) == without_times(first.results)
    experiment = first.results["open_run"]["experiment_id"]
    runs = client.search_runs(
        [experiment], f"tags.`flightdeck.run_id` = '{first.context.run.run_id}'"
    )
    assert [run.info.run_id for run in runs] == [first.mlflow_run_id]
    assert (
        len(client.search_logged_models([experiment], f"source_run_id = '{first.mlflow_run_id}'"))
        == 1
    )
    assert (
        len(
            client.search_model_versions(
                f"name='{FLIGHTS.name}' and run_id='{first.mlflow_run_id}'"
            )
        )
        == 1
    )
    assert len(trials_of(first, client)) == 2
    assert (
        read_decisions(FLIGHTS, settings)
        .filter(pl.col("run_id") == first.context.run.run_id)
        .height
        == 1
    )


def test_the_snapshot_holds_only_what_was_known_before_the_interval_ended(first, settings):
    snapshot = read(FLIGHTS, settings, Snapshot(**first.results["build_snapshot"]["snapshot"]))
    counts = first.results["build_snapshot"]["counts"]
    assert snapshot["known_at"].max() < QUARTER.end
    assert snapshot["asked_at"].min() >= QUARTER.start
    assert (
        counts["window_rows"]
        == counts["labelled"] + counts["label_not_yet_known"] + counts["label_never_reported"]
    )
    assert counts["label_never_reported"] > 0


def test_mlflow_loads_the_model_without_a_pickle_and_gives_the_same_probabilities(first, settings):
    import mlflow.pyfunc
    from mlflow.environment_variables import MLFLOW_ALLOW_PICKLE_DESERIALIZATION

    connect(settings)
    assert MLFLOW_ALLOW_PICKLE_DESERIALIZATION.get() is False
    model = load_model(Path(first.results["train_model"]["package"]))
    frame = read(FLIGHTS, settings, Snapshot(**first.results["build_snapshot"]["snapshot"])).tail(
        50
    )
    loaded = mlflow.pyfunc.load_model(f"models:/{FLIGHTS.name}/1")
    answers = np.asarray(loaded.predict(example_frame(model.transform, frame)))
    assert np.array_equal(answers, model.score_frame(frame))
    assert set(loaded.metadata.signature.inputs.input_names()) == set(
        source_columns(model.transform)
    )


def test_a_downloaded_version_is_the_trained_package(first, settings, tmp_path):
    version = versions.version(settings, FLIGHTS, 1)
    package = versions.download(version, tmp_path)
    model = load_model(package, expected_digest=version.digest)
    assert model.check_golden() < 1e-7
    assert model.metadata.metrics == pytest.approx(first.results["evaluate_model"]["metrics"])
    with pytest.raises(DigestMismatch):
        versions.download(replace(version, digest="0" * 64), tmp_path / "other")


def test_evaluation_fetches_the_package_from_mlflow_where_the_folder_is_missing(
    first, settings, tmp_path
):
    from include.training.package import open_package

    trained = TrainedModel(**first.results["train_model"])
    elsewhere = trained.model_copy(update={"package": str(tmp_path / "run" / "package")})
    assert open_package(settings, elsewhere).digest == first.results["train_model"]["digest"]


def test_a_refused_verdict_is_never_registered(first, settings):
    with pytest.raises(RegistryError, match="refused"):
        versions.register_candidate(
            settings,
            FLIGHTS,
            first.mlflow_run_id,
            first.results["train_model"]["digest"],
            GateVerdict(),
        )
    with pytest.raises(RegistryError, match="already version 1"):
        versions.register_candidate(
            settings,
            FLIGHTS,
            first.mlflow_run_id,
            "0" * 64,
            GateVerdict(findings=(Finding(rule="auc", passed=True),)),
        )


def test_two_processes_that_register_at_once_leave_one_version(first, settings, client):
    original = client.get_model_version(FLIGHTS.name, "1")
    client.create_model_version(
        FLIGHTS.name,
        original.source,
        original.run_id,
        tags=original.tags,
        model_id=original.model_id,
    )
    digest = first.results["train_model"]["digest"]
    verdict = GateVerdict.model_validate(first.results["check_gates"])
    assert versions.register_candidate(settings, FLIGHTS, first.mlflow_run_id, digest, verdict) == 1
    assert [
        int(item.version) for item in client.search_model_versions(f"name='{FLIGHTS.name}'")
    ] == [1]


def test_a_candidate_that_does_not_beat_the_champion_is_refused_and_recorded(
    first, settings, client
):
    versions.set_champion(settings, FLIGHTS, 1)
    champion = versions.champion(settings, FLIGHTS)
    assert champion is not None
    assert champion.version == 1
    refused = run_steps(with_run(first.context, "no-better", min_champion_improvement=0.5))
    verdict = refused.results["check_gates"]
    assert verdict["accepted"] is False
    assert verdict["champion_version"] == 1
    assert {reason.split(" ")[0] for reason in verdict["reasons"]} == {"champion_improvement"}
    improvement = next(row for row in verdict["findings"] if row["rule"] == "champion_improvement")
    assert improvement["observed"] == pytest.approx(0.0, abs=1e-9), (
        "the same window trains the same model"
    )
    run = client.get_run(refused.mlflow_run_id)
    assert (
        run.info.status,
        run.data.tags["decision"],
        run.data.tags["gate.champion_improvement"],
    ) == ("FAILED", "refused", "refused")
    note = run.data.tags["mlflow.note.content"]
    assert note.startswith("## Refused by 1 of")
    assert "not better than champion version 1" in note
    assert run.data.metrics["test.champion.auc"] == pytest.approx(run.data.metrics["test.auc"])
    row = (
        read_decisions(FLIGHTS, settings).filter(pl.col("run_id") == "no-better").row(0, named=True)
    )
    assert (row["decision"], row["version"], row["champion_version_before"]) == ("refused", None, 1)
    assert len(client.search_model_versions(f"name='{FLIGHTS.name}'")) == 1


def test_a_package_that_changes_after_its_evaluation_is_refused(first):
    context = with_run(first.context, "tampered")
    trained = run_steps(context, until="evaluate_model")
    package = Path(trained.results["train_model"]["package"])
    metadata = json.loads((package / "metadata.json").read_text())
    (package / "metadata.json").write_text(json.dumps({**metadata, "decision_threshold": 0.01}))
    verdict = run_step(steps.check_gates, context, trained.results)
    assert verdict["accepted"] is False
    assert any(
        "evaluated_object" in reason and "metadata.json" in reason for reason in verdict["reasons"]
    )


def test_every_run_is_measured_on_the_same_golden_rows_that_no_training_set_holds(
    first, settings, client
):
    golden = first.results["build_snapshot"]["golden"]
    frozen = TableStore(settings.tables_uri).read(golden["table"])
    snapshot = read(FLIGHTS, settings, Snapshot(**first.results["build_snapshot"]["snapshot"]))
    counts = first.results["build_snapshot"]["counts"]
    assert frozen.height == golden["rows"] > 100
    assert frozen["asked_at"].max() < FLIGHTS.golden.until
    assert set(frozen["flight_id"]).isdisjoint(snapshot["flight_id"])
    assert (counts["set_aside"], counts["labelled"] - counts["set_aside"]) == (
        frozen.height,
        snapshot.height,
    )
    metrics = client.get_run(first.mlflow_run_id).data.metrics
    assert metrics["golden.n"] == frozen.height
    assert metrics["golden.auc.low"] < metrics["golden.auc"] < metrics["golden.auc.high"]


def test_a_frozen_golden_set_that_was_lost_or_changed_is_an_error_and_not_made_anew(
    first, settings
):
    folder, aside = (
        Path(settings.tables_uri) / FLIGHTS.name / "golden",
        settings.home / "golden-aside",
    )
    folder.rename(aside)
    context = with_run(first.context, "no-golden")
    with pytest.raises(DataError, match="golden set of flight_delays is missing"):
        run_steps(context, until="build_snapshot")
    rows = TableStore(str(settings.home)).read("golden-aside")
    TableStore(settings.tables_uri).replace_all(
        f"{FLIGHTS.name}/golden", rows.head(rows.height - 1)
    )
    with pytest.raises(DataError, match="was changed"):
        run_steps(context, until="build_snapshot")
    shutil.rmtree(folder)
    aside.rename(folder)


def test_a_package_that_kills_its_process_is_refused_and_recorded_without_being_opened_here(
    first, settings
):
    context = with_run(first.context, "crashing")
    trained = run_steps(context, until="train_model")
    package = Path(trained.results["train_model"]["package"])
    document = json.loads(load_model(package).booster.save_raw("json"))
    document["learner"]["gradient_booster"]["model"]["trees"][0]["left_children"][0] = 2_000_000_000
    (package / "model.ubj").write_text(json.dumps(document))
    digest = package_digest(package)
    record = json.loads((package / "digest.json").read_text())
    (package / "digest.json").write_text(json.dumps({**record, "digest": digest}))
    results = {
        **trained.results,
        "train_model": {**trained.results["train_model"], "digest": digest},
    }
    refused = run_steps(context, results)
    verdict = refused.results["check_gates"]
    assert verdict["accepted"] is False
    assert any(
        "runtime_validity" in reason and "died of SIG" in reason for reason in verdict["reasons"]
    )
    assert any(
        "artefact_safety" in reason and "model.ubj" in reason for reason in verdict["reasons"]
    )
    row = (
        read_decisions(FLIGHTS, settings).filter(pl.col("run_id") == "crashing").row(0, named=True)
    )
    assert (row["decision"], row["version"]) == ("refused", None)


def test_a_training_set_that_is_too_small_is_refused_before_training(first, settings, client):
    training = FLIGHTS.training.model_copy(update={"minimum_rows": 1_000_000})
    context = with_run(first.context, "too-small")
    context = replace(context, use_case=context.use_case.model_copy(update={"training": training}))
    stopped = run_steps(context)
    assert "split_data" not in stopped.results
    failure = stopped.results["validate_snapshot"]["failures"][0]
    assert (failure["rule"], failure["expected"]) == ("row count", "at least 1000000 rows")
    closed = client.get_run(stopped.mlflow_run_id)
    assert closed.info.status == "FAILED"
    assert closed.data.tags["mlflow.note.content"].startswith("## Refused\n\n- ")
    assert "row count" in closed.data.tags["mlflow.note.content"]
    row = (
        read_decisions(FLIGHTS, settings).filter(pl.col("run_id") == "too-small").row(0, named=True)
    )
    assert row["decision"] == "refused"
    assert "row count" in json.loads(row["reasons_json"])[0]


def test_a_run_that_dies_is_closed_as_failed_once(first, settings, client):
    context = with_run(first.context, "dies")
    opened = run_step(steps.open_run, context)
    assert client.get_run(opened["mlflow_run_id"]).info.status == "RUNNING"
    assert mark_failed(settings, FLIGHTS.name, "dies", "out of memory") is True
    assert client.get_run(opened["mlflow_run_id"]).info.status == "FAILED"
    assert mark_failed(settings, FLIGHTS.name, "dies", "out of memory") is False
    assert run_step(steps.open_run, context)["mlflow_run_id"] == opened["mlflow_run_id"]
    assert client.get_run(opened["mlflow_run_id"]).info.status == "RUNNING"


def trials_of(trained: Trained, client) -> list[Any]:
    experiment = trained.results["open_run"]["experiment_id"]
    children = client.search_runs(
        [experiment], f"tags.`mlflow.parentRunId` = '{trained.mlflow_run_id}'"
    )
    return sorted(children, key=lambda run: run.data.tags["flightdeck.trial"])
