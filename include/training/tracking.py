"""What a training run leaves in MLflow, written so that doing it again changes nothing.

A run is found by its tag `flightdeck.run_id` before one is created: a step that is killed and
retried goes on in the same run.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from include.data_sets.snapshot import Snapshot
from include.errors import RegistryError
from include.registry.client import artifact_location, connect
from include.registry.describe import Place, gate_outcomes, refusal_note, version_description
from include.registry.one_copy import one_copy
from include.settings import Settings
from include.spec import DataSet, UseCase
from include.started_by import sentences_of, who_started, words_of
from include.steps import StepContext
from include.training.provenance import DIRTY
from include.training.tuning import Trial
from include.triggers.causes import causes_of_run
from include.triggers.decisions import ACCEPTED
from include.verdict import GATE_COLUMNS, GateVerdict

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

RUN_TAG = "flightdeck.run_id"
TRIAL_TAG = "flightdeck.trial"
TRIAL_STATE_TAG = "flightdeck.trial_state"
BATCH = 100
DATASET_DIGEST_LENGTH = 36
INPUT_TAG_LENGTH = 500
DATA_SET_FIELDS = ("name", "description", "owner", "licence", "purpose", "sensitivity")
TAG_LENGTH = 7900
NOTE_TAG = "mlflow.note.content"


def find_run(client: MlflowClient, use_case_name: str, run_id: str) -> Run | None:
    """The MLflow run of a DAG run, or `None`. The oldest, should there ever be two."""
    experiment = client.get_experiment_by_name(use_case_name)
    if experiment is None:
        return None
    if "'" in run_id:
        raise RegistryError(f"run id {run_id!r} holds a quote; use letters, digits and .-_:+")
    existing = client.search_runs(
        [experiment.experiment_id],
        f"tags.`{RUN_TAG}` = '{run_id}'",
        order_by=["attributes.start_time ASC"],
    )
    return existing[0] if existing else None


def open_run(context: StepContext, code_commit: str) -> dict[str, str]:
    """Create the run, or re-open the one that exists: `{"mlflow_run_id", "experiment_id"}`."""
    client, causes = connect(context.settings), causes_of_run(context)
    tags = _run_tags(context, code_commit, causes)
    with one_copy(context.settings, context.use_case.name, context.run.run_id):
        run = _opened_run(client, context, tags, _kinds(causes, context.run.trigger))
        client.log_dict(
            run.info.run_id, {"causes": json.loads(json.dumps(causes, default=str))}, "causes.json"
        )
    return {"mlflow_run_id": str(run.info.run_id), "experiment_id": str(run.info.experiment_id)}


def _opened_run(
    client: MlflowClient, context: StepContext, tags: Mapping[str, str], kinds: Sequence[str]
) -> Run:
    run = find_run(client, context.use_case.name, context.run.run_id)
    if run is None:
        experiment_id = _experiment(client, context.settings, context.use_case)
        return client.create_run(
            experiment_id,
            tags=dict(tags),
            run_name=f"{context.interval.end:%Y-%m-%d} {words_of(kinds)}",
        )
    client.update_run(run.info.run_id, status="RUNNING")
    log_tags(client, run.info.run_id, tags)
    return run


def finish(
    client: MlflowClient, mlflow_run_id: str, decision: str, reasons: Sequence[str] = ()
) -> None:
    """Close the run with its decision: FINISHED, which MLflow shows as a green tick, only when it
    was accepted; a refused one is FAILED, and its description begins with the refusal.
    """
    tags = {"decision": decision, "flightdeck.reasons": json.dumps(list(reasons))}
    if reasons and NOTE_TAG not in client.get_run(mlflow_run_id).data.tags:
        tags[NOTE_TAG] = refusal_note(reasons)
    log_tags(client, mlflow_run_id, tags)
    client.set_terminated(mlflow_run_id, "FINISHED" if decision == ACCEPTED else "FAILED")


def mark_failed(settings: Settings, use_case_name: str, run_id: str, reason: str) -> bool:
    """Close a DAG run's MLflow run as FAILED if it is still RUNNING; whether it was.

    For a failure callback.
    """
    client = connect(settings)
    run = find_run(client, use_case_name, run_id)
    if run is None or run.info.status != "RUNNING":
        return False
    log_tags(
        client, run.info.run_id, {"decision": "failed", "flightdeck.reasons": json.dumps([reason])}
    )
    client.set_terminated(run.info.run_id, "FAILED")
    return True


def log_tags(client: MlflowClient, mlflow_run_id: str, tags: Mapping[str, str]) -> None:
    """All tags in one call; values beyond MLflow's limit are cut."""
    from mlflow.entities import RunTag

    client.log_batch(
        mlflow_run_id, tags=[RunTag(name, value[:TAG_LENGTH]) for name, value in tags.items()]
    )


def log_params(client: MlflowClient, mlflow_run_id: str, params: Mapping[str, Any]) -> None:
    """Parameters;

    MLflow refuses to change one that is there, so a run that is repeated must repeat exactly.
    """
    from mlflow.entities import Param

    listed = [Param(name, str(value)) for name, value in params.items()]
    for start in range(0, len(listed), BATCH):
        client.log_batch(mlflow_run_id, params=listed[start : start + BATCH])


def log_metrics(
    client: MlflowClient,
    mlflow_run_id: str,
    metrics: Mapping[str, float],
    *,
    model_id: str | None = None,
) -> None:
    """Metrics, shown with the logged model too if `model_id` is given.

    They replace those that a killed try left; what is there with the same value gets no second
    point, so that MLflow draws one value and no line. To be called by one copy at a time.
    """
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    there = _metrics_there(client, mlflow_run_id, model_id)
    listed = [
        Metric(name, float(value), now, 0, model_id=model_id, run_id=mlflow_run_id)
        for name, value in metrics.items()
        if any(logged.get(name) != value for logged in there)
    ]
    for start in range(0, len(listed), 10 * BATCH):
        client.log_batch(mlflow_run_id, metrics=listed[start : start + 10 * BATCH])


def _metrics_there(
    client: MlflowClient, mlflow_run_id: str, model_id: str | None
) -> list[Mapping[str, float]]:
    """The newest metrics of the run, and of the model where there is one."""
    there: list[Mapping[str, float]] = [client.get_run(mlflow_run_id).data.metrics]
    if model_id is not None:
        of_model = client.get_logged_model(model_id).metrics or []
        there.append({metric.key: metric.value for metric in of_model})
    return there


def log_table(
    client: MlflowClient, mlflow_run_id: str, rows: Sequence[Mapping[str, Any]], file: str
) -> None:
    """Rows as a table artefact in the form that MLflow's pages show; written anew each time
    (MLflow's own call appends).
    """
    columns = list(dict.fromkeys(name for row in rows for name in row))
    client.log_dict(
        mlflow_run_id,
        {"columns": columns, "data": [[row.get(name) for name in columns] for row in rows]},
        file,
    )


def log_snapshot(
    client: MlflowClient,
    mlflow_run_id: str,
    data: DataSet,
    snapshot: Snapshot,
    schema: Mapping[str, str],
    counts: Mapping[str, int],
) -> None:
    """The training set as a data-set input:

    Delta table, version, digest (MLflow keeps 36 characters; the tag keeps all), metadata.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag

    source = {
        "path": snapshot.uri,
        "delta_table_name": snapshot.name,
        "delta_table_version": snapshot.version,
        "sources": snapshot.sources,
    }
    profile = {
        **counts,
        "rows": snapshot.rows,
        "digest": snapshot.digest,
        "start": snapshot.start,
        "end": snapshot.end,
    }
    dataset = Dataset(
        name=snapshot.name,
        digest=snapshot.digest[:DATASET_DIGEST_LENGTH],
        source_type="delta_table",
        source=json.dumps(source),
        schema=json.dumps(
            {"mlflow_colspec": [{"name": name, "type": dtype} for name, dtype in schema.items()]}
        ),
        profile=json.dumps(profile),
    )
    about = [
        InputTag(f"data_set.{field}", str(getattr(data, field))[:INPUT_TAG_LENGTH])
        for field in DATA_SET_FIELDS
    ]
    client.log_inputs(
        mlflow_run_id,
        [DatasetInput(dataset, [InputTag("mlflow.data.context", "training"), *about])],
    )
    tags = {
        "flightdeck.snapshot": f"{snapshot.name}@{snapshot.version}",
        "flightdeck.snapshot_digest": snapshot.digest,
    }
    log_tags(client, mlflow_run_id, tags)


def log_trials(
    client: MlflowClient, experiment_id: str, mlflow_run_id: str, trials: Sequence[Trial]
) -> None:
    """One child run per trial (found again on a retry) and all of them as the table trials.json."""
    children = client.search_runs([experiment_id], f"tags.`mlflow.parentRunId` = '{mlflow_run_id}'")
    run_ids = {run.data.tags.get(TRIAL_TAG): run.info.run_id for run in children}
    for trial in trials:
        tags = {
            "mlflow.parentRunId": mlflow_run_id,
            TRIAL_TAG: str(trial.number),
            TRIAL_STATE_TAG: trial.state,
        }
        child = run_ids.get(str(trial.number))
        if child is None:
            child = client.create_run(
                experiment_id, tags=tags, run_name=f"trial {trial.number}"
            ).info.run_id
        log_params(client, child, trial.parameters)
        log_metrics(
            client,
            child,
            {
                f"validation.{trial.loss}": trial.validation_loss,
                "best_iteration": trial.best_iteration,
            },
        )
        client.set_terminated(child, "FINISHED")
    rows = [
        {
            "trial": trial.number,
            "state": trial.state,
            **trial.parameters,
            f"validation.{trial.loss}": trial.validation_loss,
        }
        for trial in trials
    ]
    log_table(client, mlflow_run_id, rows, "trials.json")


def log_verdict(
    client: MlflowClient, context: StepContext, mlflow_run_id: str, verdict: GateVerdict
) -> None:
    """The gates' rows as the table gates.json, each gate's outcome as a tag, and the whole as the
    run's description.
    """
    log_table(
        client,
        mlflow_run_id,
        [finding.as_row(GATE_COLUMNS) for finding in verdict.findings],
        "gates.json",
    )
    run = client.get_run(mlflow_run_id)
    tags = {
        f"gate.{gate}": "passed" if passed else "refused"
        for gate, passed in gate_outcomes(verdict.findings).items()
    }
    compared = verdict.champion_version
    tags["flightdeck.champion_compared"] = "none" if compared is None else str(compared)
    place = Place.of(context.settings, context.use_case, run.info.experiment_id, mlflow_run_id)
    tags[NOTE_TAG] = version_description(verdict, run.data.tags, run.data.metrics, place)
    log_tags(client, mlflow_run_id, tags)


def _experiment(client: MlflowClient, settings: Settings, use_case: UseCase) -> str:
    from mlflow.exceptions import MlflowException

    existing = client.get_experiment_by_name(use_case.name)
    if existing is None:
        tags = {
            "mlflow.note.content": f"{use_case.title}. {use_case.task}",
            "owner": use_case.owner,
        }
        try:
            return str(
                client.create_experiment(
                    use_case.name, artifact_location=artifact_location(settings), tags=tags
                )
            )
        except MlflowException:
            # Another run may have created it in between; anything else is still missing now.
            existing = client.get_experiment_by_name(use_case.name)
            if existing is None:
                raise
    return str(existing.experiment_id)


def _causes_tag(causes: Sequence[Mapping[str, Any]]) -> str:
    """All causes as JSON; where they are too long for a tag, without their evidence, which the
    artefact causes.json holds.
    """
    text = json.dumps(list(causes), default=str)
    if len(text) <= TAG_LENGTH:
        return text
    return json.dumps(
        [{name: value for name, value in cause.items() if name != "evidence"} for cause in causes],
        default=str,
    )


def _kinds(causes: Sequence[Mapping[str, Any]], trigger: str) -> list[str]:
    """What started the run: the kinds of its causes, or what Airflow says of a run without any."""
    return sorted({str(cause["kind"]) for cause in causes if "kind" in cause}) or [trigger]


def _run_tags(
    context: StepContext, code_commit: str, causes: Sequence[Mapping[str, Any]]
) -> dict[str, str]:
    run, interval = context.run, context.interval.as_json()
    who = who_started(causes, run.trigger, run.triggered_by)
    return {
        RUN_TAG: run.run_id,
        "flightdeck.use_case": context.use_case.name,
        "flightdeck.process": run.process,
        "flightdeck.trigger": run.trigger,
        "flightdeck.triggered_by": who,
        "flightdeck.causes": _causes_tag(causes),
        "flightdeck.cause_kinds": "+".join(_kinds(causes, run.trigger)),
        "flightdeck.started_by": "; ".join(sentences_of(causes, run.trigger, who))[:TAG_LENGTH],
        "flightdeck.params": json.dumps(run.params, default=str),
        "flightdeck.interval_start": interval["start"],
        "flightdeck.interval_end": interval["end"],
        "flightdeck.code_commit": code_commit,
        "mlflow.source.git.commit": code_commit.removesuffix(DIRTY),
    }
