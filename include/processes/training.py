"""The steps of the training process, in order.

Each is one unit of retry: doing it again gives the same tables, run and version.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import polars as pl

from include.data_sets.golden import freeze, golden_ids
from include.data_sets.snapshot import build, read
from include.data_sets.snapshot_verdict import judge_snapshot
from include.data_sets.split import cut, split_in_time
from include.data_sets.stored_splits import StoredSplits, newest_rows
from include.evaluation.champion import champion_metrics
from include.evaluation.gates.registry import run_gates
from include.model.package import load_model
from include.processes.releases import record_registration
from include.processes.results import (
    BuiltSnapshot,
    CandidateVerdict,
    DataVerdict,
    EvaluatedModel,
    OpenRun,
    RegisteredModel,
    SplitData,
    TrainedModel,
    TunedModel,
)
from include.registry.client import connect
from include.registry.logged_model import log_package
from include.registry.one_copy import one_copy
from include.registry.versions import register_candidate
from include.release.in_service import released_version
from include.spec import UseCase
from include.steps import StepContext
from include.tables.store import TableStore
from include.training import tracking
from include.training.estimator import declared_parameters, device_of
from include.training.evidence import log_evidence
from include.training.gate_input import gather
from include.training.lineage import Cuts, Search, TrainingFacts, record_lineage
from include.training.measuring import measure
from include.training.package import train_package
from include.training.provenance import code_commit
from include.training.record import log_record, record_of
from include.training.study import journal_of
from include.training.tuning import best_trial, tune
from include.triggers import policy
from include.triggers.decisions import ACCEPTED, REFUSED, record_decision
from include.triggers.policy import ConsumedCauses


def collect_causes(context: StepContext) -> ConsumedCauses:
    """Consume every pending cause of training for this run."""
    return policy.collect_causes(context)


def open_run(context: StepContext) -> OpenRun:
    """Create or re-open the MLflow run."""
    commit = code_commit()
    return OpenRun(**tracking.open_run(context, commit), code_commit=commit)


def build_snapshot(context: StepContext, run: OpenRun) -> BuiltSnapshot:
    """Write the training set.

    The golden set is frozen first, by the first training of all, and its rows are left out of every
    training set.
    """
    settings, use_case = context.settings, context.use_case
    golden = freeze(use_case, settings, context.interval, connect(settings), run.experiment_id)
    snapshot, counts = build(
        use_case, settings, context.interval, set_aside=golden_ids(use_case, settings, golden)
    )
    return BuiltSnapshot(snapshot=snapshot, counts=counts, golden=golden)


def validate_snapshot(context: StepContext, run: OpenRun, built: BuiltSnapshot) -> DataVerdict:
    """Validate the training set and keep report and Data Docs with the run; a refusal closes the
    MLflow run and is recorded.
    """
    with _one_copy(context):
        current = released_version(context.settings, context.use_case)
        verdict = DataVerdict(**judge_snapshot(context, built.snapshot, run.mlflow_run_id, current))
        client = connect(context.settings)
        client.log_artifacts(run.mlflow_run_id, str(Path(verdict.report).parent), "validation")
        if not verdict.accepted:
            _log_inputs(context, run, built)
            tracking.log_table(
                client, run.mlflow_run_id, verdict.failures, "snapshot_failures.json"
            )
            before = None if current is None else current.version
            _decide(context, run, built, _facts(run, built), verdict.reasons, before)
    return verdict


def split_data(context: StepContext, built: BuiltSnapshot) -> SplitData:
    """Find the moments that cut the snapshot; later steps cut it there."""
    frame = read(context.use_case, context.settings, built.snapshot)
    return SplitData.of(split_in_time(context.use_case, frame))


def tune_model(
    context: StepContext, run: OpenRun, built: BuiltSnapshot, split: SplitData
) -> TunedModel:
    """Search parameters on the newest training rows.

    A search that was killed goes on with the trials that it had finished.
    """
    use_case, splits = context.use_case, _splits(context, built, split)
    trials = tune(
        use_case,
        newest_rows(splits, use_case.training.trial_rows),
        splits["validation"],
        trials=int(context.run.params.get("trials") or use_case.training.trials),
        threads=context.settings.training_threads,
        journal=journal_of(
            context,
            snapshot_digest=built.snapshot.digest,
            boundaries=split.boundaries,
            code_commit=run.code_commit,
        ),
        device=device_of(use_case, context.settings),
    )
    best = best_trial(trials)
    client = connect(context.settings)
    with _one_copy(context):
        tracking.log_trials(client, run.experiment_id, run.mlflow_run_id, trials)
    return TunedModel(
        parameters={
            **use_case.training.parameters,
            **best.parameters,
            **declared_parameters(use_case),
        },
        best_trial=best.number,
        loss=best.loss,
        validation_loss=best.validation_loss,
        trials=tuple(trial.as_json() for trial in trials),
    )


def train_model(
    context: StepContext, run: OpenRun, built: BuiltSnapshot, split: SplitData, tuned: TunedModel
) -> TrainedModel:
    """Make the final fit, write its package, and keep with the run all that it came from."""
    splits = _splits(context, built, split)
    folder, digest, fit = train_package(
        context, splits, tuned.parameters, built.snapshot.as_json(), run.code_commit
    )
    with _one_copy(context):
        model_id = _keep_with_run(context, run, built, split, tuned, splits, folder, digest)
        losses = {
            "best_iteration": fit.best_iteration,
            f"validation_{fit.loss}": fit.validation_loss,
        }
        tracking.log_metrics(connect(context.settings), run.mlflow_run_id, losses)
    return TrainedModel(
        package=str(folder),
        digest=digest,
        model_id=model_id,
        best_iteration=fit.best_iteration,
        loss=fit.loss,
        validation_loss=fit.validation_loss,
    )


def _keep_with_run(  # what a package came from, and the package
    context: StepContext,
    run: OpenRun,
    built: BuiltSnapshot,
    split: SplitData,
    tuned: TunedModel,
    splits: Mapping[str, pl.DataFrame],
    folder: Path,
    digest: str,
) -> str:
    """Log parameters, inputs, record, evidence and package; the logged model's id."""
    settings, client = context.settings, connect(context.settings)
    model = load_model(folder, expected_digest=digest, threads=settings.training_threads)
    parameters = _params(context.use_case, built, split, model.metadata.parameters)
    tracking.log_params(client, run.mlflow_run_id, parameters)
    _log_inputs(context, run, built)
    record = record_of(
        context,
        snapshot=built.snapshot,
        boundaries=split.boundaries,
        parameters=tuned.parameters,
        code_commit=run.code_commit,
    )
    log_record(client, run.mlflow_run_id, record)
    log_evidence(client, context, run.mlflow_run_id, built.snapshot, built.golden, splits, model)
    model_id = log_package(
        client,
        experiment_id=run.experiment_id,
        mlflow_run_id=run.mlflow_run_id,
        package=folder,
        digest=digest,
        transform=model.transform,
        example=splits["test"].head(3),
        classes=context.use_case.problem.class_names,
    )
    tags = {"flightdeck.digest": digest, "flightdeck.model_id": model_id}
    tracking.log_tags(client, run.mlflow_run_id, tags)
    return model_id


def evaluate_model(
    context: StepContext,
    run: OpenRun,
    built: BuiltSnapshot,
    split: SplitData,
    trained: TrainedModel,
) -> EvaluatedModel:
    """Inspect and measure the package on disk."""
    splits = _splits(context, built, split)
    with _one_copy(context):
        measured = measure(context, run.mlflow_run_id, trained, built.golden, splits)
    return EvaluatedModel(
        digest=measured.digest,
        metrics=measured.metrics,
        baseline=measured.baseline,
        inspection=measured.inspection,
    )


def check_gates(  # a verdict is recorded with all that led to it
    context: StepContext,
    run: OpenRun,
    built: BuiltSnapshot,
    split: SplitData,
    tuned: TunedModel,
    trained: TrainedModel,
    evaluated: EvaluatedModel,
) -> CandidateVerdict:
    """Let every gate judge the candidate; a refusal closes the run and is recorded."""
    client = connect(context.settings)
    logged = client.get_run(run.mlflow_run_id).data
    candidate = gather(
        context,
        trained,
        _splits(context, built, split)["test"],
        logged.metrics,
        logged.tags,
        evaluated.inspection,
        released_version(context.settings, context.use_case),
    )
    verdict = run_gates(candidate)
    result = CandidateVerdict.of(verdict, candidate.package_digest)
    with _one_copy(context):
        tracking.log_metrics(client, run.mlflow_run_id, champion_metrics(candidate))
        tracking.log_verdict(client, context, run.mlflow_run_id, verdict)
        if not result.accepted:
            facts = _facts(run, built, split, tuned, trained)
            before = result.champion_version
            _decide(context, run, built, facts, result.reasons, before, metrics=evaluated.metrics)
    return result


def register_model(  # a version is registered with all that led to it
    context: StepContext,
    run: OpenRun,
    built: BuiltSnapshot,
    split: SplitData,
    tuned: TunedModel,
    trained: TrainedModel,
    evaluated: EvaluatedModel,
    verdict: CandidateVerdict,
) -> RegisteredModel:
    """Register the accepted candidate as `challenger`, and write that down in the release ledger;
    again gives the same version and row.
    """
    number = register_candidate(
        context.settings, context.use_case, run.mlflow_run_id, trained.digest, verdict.gates
    )
    tags = {"flightdeck.version": str(number)}
    facts = _facts(run, built, split, tuned, trained)
    before = verdict.champion_version
    with _one_copy(context):
        tracking.log_tags(connect(context.settings), run.mlflow_run_id, tags)
        _decide(context, run, built, facts, (), before, metrics=evaluated.metrics, version=number)
    record_registration(
        context, number, trained.digest, verdict.gates, run.mlflow_run_id, evaluated.metrics
    )
    return RegisteredModel(version=number, digest=trained.digest)


def _one_copy(context: StepContext) -> AbstractContextManager[None]:
    """The right to write what belongs to the training in MLflow."""
    return one_copy(context.settings, context.use_case.name, context.run.run_id)


def _splits(
    context: StepContext, built: BuiltSnapshot, split: SplitData
) -> Mapping[str, pl.DataFrame]:
    """The snapshot's splits, cut at the recorded boundaries: frames, or where the fit is past
    memory stored ones.
    """
    use_case, settings = context.use_case, context.settings
    if use_case.training.fit_in != "memory":
        return StoredSplits.of(use_case, settings.tables_uri, built.snapshot, split.boundaries)
    return cut(use_case, read(use_case, settings, built.snapshot), split.boundaries)


def _log_inputs(context: StepContext, run: OpenRun, built: BuiltSnapshot) -> None:
    snapshot, tables = built.snapshot, TableStore(context.settings.tables_uri)
    schema = tables.scan(snapshot.name, version=snapshot.version).collect_schema()
    types = {name: str(dtype) for name, dtype in schema.items()}
    client, data = connect(context.settings), context.use_case.training_data
    tracking.log_snapshot(client, run.mlflow_run_id, data, snapshot, types, built.counts)


def _facts(
    run: OpenRun,
    built: BuiltSnapshot,
    split: SplitData | None = None,
    tuned: TunedModel | None = None,
    trained: TrainedModel | None = None,
) -> TrainingFacts:
    """What the lineage tells of the run, as far as it came."""
    return TrainingFacts(
        run.mlflow_run_id,
        run.experiment_id,
        run.code_commit,
        built.snapshot,
        built.golden,
        trained,
        None
        if tuned is None
        else Search(tuned.best_trial, [int(trial["number"]) for trial in tuned.trials]),
        None if split is None else Cuts(split.boundaries, split.rows),
    )


def _decide(
    context: StepContext,
    run: OpenRun,
    built: BuiltSnapshot,
    facts: TrainingFacts,
    reasons: Sequence[str],
    champion_before: int | None,
    *,
    metrics: Mapping[str, float] | None = None,
    version: int | None = None,
) -> None:
    """Record the run's decision in the ledger, the lineage and MLflow; with a version it is
    accepted.
    """
    client, decision = connect(context.settings), REFUSED if version is None else ACCEPTED
    record_decision(
        context,
        decision=decision,
        reasons=list(reasons),
        mlflow_run_id=run.mlflow_run_id,
        version=version,
        champion_before=champion_before,
        metrics=metrics or {},
        rows=built.snapshot.rows,
    )
    record_lineage(client, context, facts, decision=decision, version=version)
    tracking.finish(client, run.mlflow_run_id, decision, reasons)


def _params(
    use_case: UseCase, built: BuiltSnapshot, split: SplitData, parameters: Mapping[str, Any]
) -> dict[str, Any]:
    training, snapshot = use_case.training, built.snapshot
    return {
        **{f"{training.estimator.kind}.{name}": value for name, value in parameters.items()},
        "early_stopping_rounds": training.early_stopping_rounds,
        "problem": use_case.problem.kind,
        "estimator": training.estimator.label,
        "seed": training.seed,
        "window_days": training.window_days,
        "feature_service": use_case.feature_service,
        "snapshot": f"{snapshot.name}@{snapshot.version}",
        **{f"split.{name}": moment for name, moment in split.boundaries.items()},
        **{f"rows.{name}": count for name, count in split.rows.items()},
        **{f"share.{name}": round(share, 4) for name, share in split.shares.items()},
    }
