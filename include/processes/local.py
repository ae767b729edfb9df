"""A whole process in this Python process: its steps one after the other, with JSON between them, as
its DAG runs them.

What Airflow adds is not there: no retries, no asset event that starts the next process, nobody to
ask for an approval, no traffic for the stages of a rollout.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any

from include.errors import NotReadyYet, ReleaseError
from include.interval import Interval
from include.processes.release_results import StageName
from include.processes.results import PackageVerdict, SelectedVersion
from include.processes.stage import rollout_of
from include.release.rollout.stages import stages_of
from include.settings import Settings
from include.spec import UseCase
from include.steps import StepContext, call_after, call_step, load_step
from include.tables.completed import is_complete
from include.tables.store import TableStore
from include.training.tracking import mark_failed
from include.triggers.causes import give_back

PROCESSES = "include.processes"
SEQUENCES: Mapping[str, tuple[str, ...]] = {
    "features": (
        "ingest_source",
        "validate_data",
        "publish_tables",
        "compute_features",
        "materialise_online",
        "check_new_data",
    ),
    "training": (
        "open_run",
        "build_snapshot",
        "validate_snapshot",
        "split_data",
        "tune_model",
        "train_model",
        "evaluate_model",
        "check_gates",
        "register_model",
    ),
    "deployment": (
        "select_version",
        "package_model",
        "check_package",
        "begin_stage",
        "promote_version",
    ),
    "batch_scoring": ("plan_partitions", "score_partition", "publish_predictions"),
    "monitoring": (
        "check_releases",
        "collect_log",
        "join_labels",
        "run_checks",
        "detect_drift",
        "evaluate_performance",
        "build_report",
        "decide_alarm",
        "propose_alarm",
    ),
}
"""The steps of each process in an order of its DAG; a test compares them with the DAGs."""
ELSEWHERE = {"check_releases": "releases", "begin_stage": "rollout"}
"""Steps that lie in another module than their process's."""
STOPS_NOTHING = ("check_releases",)
AWAITED = {"batch_scoring": "features", "monitoring": "batch_scoring"}
"""Which process must have completed the interval before."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class ProcessRun:
    """What the steps of a process left, as JSON by their names, and the steps that refused with
    their reasons.
    """

    results: Mapping[str, Any]
    refused: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def run_process(context: StepContext, say: Say) -> ProcessRun:
    """Run the steps of `context.run.process` until one refuses; `say` hears the name of each as it
    begins.

    Raises `NotReadyYet` where an earlier process has not completed the interval, `ReleaseError`
    for a release that only the platform can go on with, and what a step raises. A training that
    does not come to a decision is closed in MLflow, and its causes are given back.
    """
    require_awaited(context)
    results: dict[str, Any] = {}
    refused: dict[str, tuple[str, ...]] = {}
    with ExitStack() as stack:
        stack.push(partial(_close, context))
        for name in SEQUENCES[context.run.process]:
            say(name)
            results[name] = result = SPECIAL.get(name, _call)(context, name, results)
            if isinstance(result, Mapping) and result.get("accepted", True) is not True:
                refused[name] = tuple(map(str, result.get("reasons", ())))
                if name not in STOPS_NOTHING:
                    break
    return ProcessRun(results, refused)


def reference_of(process: str, name: str) -> str:
    """Where a step of a process is, for `load_step`."""
    return f"{PROCESSES}.{ELSEWHERE.get(name, process)}:{name}"


def _call(context: StepContext, name: str, results: Mapping[str, Any], **supplied: Any) -> Any:
    process = context.run.process
    earlier = {
        reference_of(process, other): result
        for other, result in results.items()
        if other not in ELSEWHERE
    }
    step = load_step(reference_of(process, name))
    return call_after(step, context, earlier, **supplied).as_json()


def _open_run(context: StepContext, name: str, results: Mapping[str, Any]) -> Any:
    """Consume every pending cause of training first, as the DAG does."""
    causes = call_step(load_step(f"{PROCESSES}.training:collect_causes"), context, {})
    return {**_call(context, name, results), **causes.as_json()}


def _score_partitions(context: StepContext, name: str, results: Mapping[str, Any]) -> Any:
    """Every partition of the plan that was not scored with it."""
    plan = results["plan_partitions"]
    waiting = [] if plan["scored"] else plan["partitions"]
    return [_call(context, name, results, partition=partition) for partition in waiting]


def _begin_stages(context: StepContext, name: str, results: Mapping[str, Any]) -> Any:
    """Pass the stages of a release that has nothing to compare, as the first one; raise
    `ReleaseError` for any other.
    """
    obstacle = next(_obstacles(context, results), None)
    if obstacle is not None:
        selected = results["select_version"]["version"]
        raise ReleaseError(
            f"The package of version {selected} of {context.use_case.name} is accepted, but it"
            f" cannot be released here: {obstacle}. Start the platform (`make up`), then:"
            f" flightdeck deploy {context.use_case.name} --version {selected}"
        )
    return [
        _call(context, name, results, stage={"name": stage.name})
        for stage in stages_of(context.use_case.release)
    ]


def _obstacles(context: StepContext, results: Mapping[str, Any]) -> Iterator[str]:
    """What a release needs that is not here."""
    release = context.use_case.release
    if release.needs_approval:
        yield "a named person must approve it in Airflow"
    selected = SelectedVersion.model_validate(results["select_version"])
    verdict = PackageVerdict.model_validate(results["check_package"])
    for stage in stages_of(release):
        rollout = rollout_of(context, selected, verdict, StageName(name=stage.name))
        if not rollout.nothing_to_compare:
            yield f"{stage.name} compares it with the version in service on live requests"


SPECIAL: Mapping[str, Callable[[StepContext, str, Mapping[str, Any]], Any]] = {
    "open_run": _open_run,
    "score_partition": _score_partitions,
    "begin_stage": _begin_stages,
}


def incomplete_before(
    settings: Settings, use_case: UseCase, process: str, interval: Interval
) -> str | None:
    """The process that must complete the interval before `process`, where it has not."""
    awaited = AWAITED.get(process)
    tables = TableStore(settings.tables_uri)
    if awaited is None or is_complete(tables, use_case.name, awaited, interval):
        return None
    return awaited


def require_awaited(context: StepContext) -> None:
    """Raise `NotReadyYet`, with the command that is missing, where the process before has not
    completed the interval.
    """
    use_case, interval = context.use_case, context.interval
    awaited = incomplete_before(context.settings, use_case, context.run.process, interval)
    if awaited is not None:
        raise NotReadyYet(
            f"{awaited} of {use_case.name} has not completed {interval.text}. Run it first:"
            f" flightdeck run {use_case.name} {awaited} --from {interval.start:%Y-%m-%dT%H:%M}"
            f" --to {interval.end:%Y-%m-%dT%H:%M}"
        )


def _close(
    context: StepContext,
    kind: type[BaseException] | None,
    error: BaseException | None,
    trace: TracebackType | None,  # noqa: ARG001  # the interface of an exit callback
) -> None:
    """A training that broke must not look alive for ever."""
    if kind is None or context.run.process != "training":
        return
    name, run_id = context.use_case.name, context.run.run_id
    give_back(context.settings, name, run_id)
    mark_failed(context.settings, name, run_id, f"{kind.__name__}: {error}")
