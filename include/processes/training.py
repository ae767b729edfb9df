"""The steps of the training process, in order.

Each is one unit of retry: doing it again gives the same tables, run and version.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from include.spec import UseCase
from include.steps import StepContext
from include.verdict import GateVerdict

Inputs = dict[str, Any]


def open_run(context: StepContext, inputs: Inputs) -> Inputs:  # noqa: ARG001  # every step has this signature
    """Create or re-open the MLflow run: `{"mlflow_run_id", "experiment_id", "code_commit"}`."""
    from include.training.provenance import code_commit
    from include.training.tracking import open_run as open_tracking_run

    commit = code_commit()
    return {**open_tracking_run(context, commit), "code_commit": commit}


def build_snapshot(context: StepContext, inputs: Inputs) -> Inputs:
    """Write the training set: `{"snapshot": {name, uri, version, digest, rows, start, end},
    "counts": {...}, "golden": {...} or None}`.

    The golden set is frozen first, by the first training of all, and its rows are kept out of every
    training set.
    """
    from include.data_sets.golden import freeze, golden_ids
    from include.data_sets.snapshot import build
    from include.registry.client import connect

    settings, use_case = context.settings, context.use_case
    golden = freeze(
        use_case, settings, context.interval, connect(settings), inputs["open_run"]["experiment_id"]
    )
    snapshot, counts = build(
        use_case, settings, context.interval, set_aside=golden_ids(use_case, settings, golden)
    )
    return {
        "snapshot": snapshot.as_json(),
        "counts": counts,
        "golden": None if golden is None else golden.as_json(),
    }


def validate_snapshot(context: StepContext, inputs: Inputs) -> Inputs:
    """The verdict with its report and Data Docs (`judge_snapshot`), kept with the run; a refusal
    closes the MLflow run and is recorded.
    """
    from include.data_sets.snapshot_verdict import judge_snapshot
    from include.registry.client import connect

    run = inputs["open_run"]["mlflow_run_id"]
    verdict = judge_snapshot(context, inputs["build_snapshot"]["snapshot"], run)
    connect(context.settings).log_artifacts(run, str(Path(verdict["report"]).parent), "validation")
    if not verdict["accepted"]:
        _refuse_snapshot(context, inputs, verdict["failures"], verdict["reasons"])
    return verdict


def split_data(context: StepContext, inputs: Inputs) -> Inputs:
    """`{"boundaries", "rows", "shares", "base_rates"}`; later steps cut the snapshot at these
    moments.
    """
    from include.data_sets.snapshot import read
    from include.data_sets.split import split_in_time

    return split_in_time(
        context.use_case,
        read(context.use_case, context.settings, inputs["build_snapshot"]["snapshot"]),
    )


def tune_model(context: StepContext, inputs: Inputs) -> Inputs:
    """Search parameters on the newest training rows: `{"parameters", "best_trial",
    "validation_logloss", "trials"}`.

    Of a regression the loss is `validation_rmse` or `validation_mae`.
    A search that was killed goes on with the trials that it had finished.
    """
    from include.registry.client import connect
    from include.training.estimator import declared_parameters, device_of
    from include.training.study import journal_of
    from include.training.tracking import log_trials
    from include.training.tuning import best_trial, tune

    use_case, splits = context.use_case, _splits(context, inputs)
    wanted = int(context.run.params.get("trials") or use_case.training.trials)
    trials = tune(
        use_case,
        splits["train"],
        splits["validation"],
        trials=wanted,
        threads=context.settings.training_threads,
        journal=journal_of(context, inputs),
        device=device_of(use_case, context.settings),
    )
    best = best_trial(trials)
    run = inputs["open_run"]
    log_trials(connect(context.settings), run["experiment_id"], run["mlflow_run_id"], trials)
    return {
        "parameters": {
            **use_case.training.parameters,
            **best.parameters,
            **declared_parameters(use_case),
        },
        "best_trial": best.number,
        f"validation_{best.loss}": best.validation_loss,
        "trials": [trial.as_json() for trial in trials],
    }


def train_model(context: StepContext, inputs: Inputs) -> Inputs:
    """The final fit:

    `{"package": folder, "digest", "model_id", "best_iteration", "validation_logloss"}` (the loss as
    in tune_model).
    """
    from include.model.package import load_model
    from include.registry.client import connect
    from include.registry.logged_model import log_package
    from include.training.evidence import log_evidence
    from include.training.package import train_package
    from include.training.record import log_record, record_of
    from include.training.tracking import log_metrics, log_params, log_tags

    run, snapshot, splits = (
        inputs["open_run"],
        inputs["build_snapshot"]["snapshot"],
        _splits(context, inputs),
    )
    parameters = inputs["tune_model"]["parameters"]
    folder, digest, fit = train_package(context, splits, parameters, snapshot, run["code_commit"])
    client, mlflow_run_id = connect(context.settings), run["mlflow_run_id"]
    model = load_model(folder, expected_digest=digest, threads=context.settings.training_threads)
    log_params(client, mlflow_run_id, _params(context.use_case, inputs, model.metadata.parameters))
    _log_inputs(context, inputs)
    log_record(client, mlflow_run_id, record_of(context, inputs))
    log_evidence(client, context, inputs, splits, model)
    model_id = log_package(
        client,
        experiment_id=run["experiment_id"],
        mlflow_run_id=mlflow_run_id,
        package=folder,
        digest=digest,
        transform=model.transform,
        example=splits["test"].head(3),
        classes=context.use_case.problem.class_names,
    )
    log_tags(client, mlflow_run_id, {"flightdeck.digest": digest, "flightdeck.model_id": model_id})
    log_metrics(
        client,
        mlflow_run_id,
        {"best_iteration": fit.best_iteration, f"validation_{fit.loss}": fit.validation_loss},
    )
    return {
        "package": str(folder),
        "digest": digest,
        "model_id": model_id,
        "best_iteration": fit.best_iteration,
        f"validation_{fit.loss}": fit.validation_loss,
    }


def evaluate_model(context: StepContext, inputs: Inputs) -> Inputs:
    """Inspect and measure the package on disk:

    `{"digest", "metrics" (test), "baseline", "inspection"}`.
    """
    from include.training.measuring import measure

    return measure(context, inputs, _splits(context, inputs))


def check_gates(context: StepContext, inputs: Inputs) -> Inputs:
    """`{"accepted", "reasons", "findings", "champion_version", "digest"}`; a refusal closes the run and
    is recorded in `trainings`.
    """
    from include.evaluation.gates.registry import run_gates
    from include.registry.client import connect
    from include.training.gate_input import gather
    from include.training.lineage import record_lineage
    from include.training.tracking import finish, log_verdict
    from include.triggers.decisions import REFUSED, record_decision

    client, mlflow_run_id = connect(context.settings), inputs["open_run"]["mlflow_run_id"]
    run = client.get_run(mlflow_run_id)
    inspected = inputs["evaluate_model"]["inspection"]
    given = gather(
        context,
        inputs["train_model"],
        _splits(context, inputs)["test"],
        run.data.metrics,
        run.data.tags,
        inspected,
    )
    verdict = run_gates(given)
    log_verdict(client, mlflow_run_id, verdict)
    if not verdict.accepted:
        record_decision(
            context,
            decision=REFUSED,
            reasons=verdict.reasons,
            mlflow_run_id=mlflow_run_id,
            version=None,
            champion_before=verdict.champion_version,
            metrics=inputs["evaluate_model"]["metrics"],
            rows=inputs["build_snapshot"]["snapshot"]["rows"],
        )
        record_lineage(client, context, inputs, decision=REFUSED, version=None)
        finish(client, mlflow_run_id, REFUSED, verdict.reasons)
    return {**verdict.model_dump(mode="json"), "digest": given.package_digest}


def register_model(context: StepContext, inputs: Inputs) -> Inputs:
    """Register the accepted candidate as `challenger`:

    `{"version", "digest"}`. Again gives the same version.
    """
    from include.registry.client import connect
    from include.registry.versions import register_candidate
    from include.training.lineage import record_lineage
    from include.training.tracking import finish, log_tags
    from include.triggers.decisions import ACCEPTED, record_decision

    digest, mlflow_run_id = inputs["check_gates"]["digest"], inputs["open_run"]["mlflow_run_id"]
    verdict = GateVerdict.model_validate(inputs["check_gates"])
    number = register_candidate(context.settings, context.use_case, mlflow_run_id, digest, verdict)
    record_decision(
        context,
        decision=ACCEPTED,
        reasons=[],
        mlflow_run_id=mlflow_run_id,
        version=number,
        champion_before=verdict.champion_version,
        metrics=inputs["evaluate_model"]["metrics"],
        rows=inputs["build_snapshot"]["snapshot"]["rows"],
    )
    client = connect(context.settings)
    log_tags(client, mlflow_run_id, {"flightdeck.version": str(number)})
    record_lineage(client, context, inputs, decision=ACCEPTED, version=number)
    finish(client, mlflow_run_id, ACCEPTED)
    return {"version": number, "digest": digest}


def _splits(context: StepContext, inputs: Inputs) -> dict[str, Any]:
    """The snapshot's splits as frames, cut at the recorded boundaries."""
    from include.data_sets.snapshot import read
    from include.data_sets.split import cut

    frame = read(context.use_case, context.settings, inputs["build_snapshot"]["snapshot"])
    return cut(context.use_case, frame, inputs["split_data"]["boundaries"])


def _log_inputs(context: StepContext, inputs: Inputs) -> None:
    from include.data_sets.snapshot import Snapshot
    from include.registry.client import connect
    from include.tables.store import TableStore
    from include.training.tracking import log_snapshot

    snapshot = Snapshot(**inputs["build_snapshot"]["snapshot"])
    schema = (
        TableStore(context.settings.tables_uri)
        .scan(snapshot.name, version=snapshot.version)
        .collect_schema()
    )
    types = {name: str(dtype) for name, dtype in schema.items()}
    client, data = connect(context.settings), context.use_case.training_data
    log_snapshot(
        client,
        inputs["open_run"]["mlflow_run_id"],
        data,
        snapshot,
        types,
        inputs["build_snapshot"]["counts"],
    )


def _refuse_snapshot(
    context: StepContext, inputs: Inputs, failures: list[dict[str, Any]], reasons: list[str]
) -> None:
    from include.registry.client import connect
    from include.registry.versions import champion
    from include.training.lineage import record_lineage
    from include.training.tracking import finish, log_table
    from include.triggers.decisions import REFUSED, record_decision

    _log_inputs(context, inputs)
    client, mlflow_run_id = connect(context.settings), inputs["open_run"]["mlflow_run_id"]
    log_table(client, mlflow_run_id, failures, "snapshot_failures.json")
    current = champion(context.settings, context.use_case)
    record_decision(
        context,
        decision=REFUSED,
        reasons=reasons,
        mlflow_run_id=mlflow_run_id,
        version=None,
        champion_before=None if current is None else current.version,
        metrics={},
        rows=inputs["build_snapshot"]["snapshot"]["rows"],
    )
    record_lineage(client, context, inputs, decision=REFUSED, version=None)
    finish(client, mlflow_run_id, REFUSED, reasons)


def _params(use_case: UseCase, inputs: Inputs, parameters: dict[str, Any]) -> dict[str, Any]:
    split, snapshot = inputs["split_data"], inputs["build_snapshot"]["snapshot"]
    return {
        **{
            f"{use_case.training.estimator.kind}.{name}": value
            for name, value in parameters.items()
        },
        "early_stopping_rounds": use_case.training.early_stopping_rounds,
        "problem": use_case.problem.kind,
        "estimator": use_case.training.estimator.label,
        "seed": use_case.training.seed,
        "window_days": use_case.training.window_days,
        "feature_service": use_case.feature_service,
        "snapshot": f"{snapshot['name']}@{snapshot['version']}",
        **{f"split.{name}": moment for name, moment in split["boundaries"].items()},
        **{f"rows.{name}": count for name, count in split["rows"].items()},
        **{f"share.{name}": round(share, 4) for name, share in split["shares"].items()},
    }
