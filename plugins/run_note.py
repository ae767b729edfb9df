"""The notes of a finished run: why it ran, on which data, what came of it; and on a task that saw a
cause of training, which cause. The latter mark the task in Airflow's grid.

Airflow calls the listeners in the scheduler, with the run still in its session, so that the notes
are part of the same commit as the run's end. A run that ends again, for a task of it was cleared,
gets its note anew. A note that a person wrote is left alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from airflow.listeners import hookimpl

from include.catalogue import names
from include.started_by import events_of, sentence_of, words_of
from plugins.refusal import shortened
from plugins.run_context import TRIGGERS

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

NOTE_CHARACTERS = 1000
LINE_CHARACTERS = 280
SHOWN_REASONS = 3
AUTHOR = "flightdeck"
"""Whom Airflow names as the author of our notes."""


def note_of(
    *,
    state: str,
    interval: str,
    started: str,
    results: Mapping[str, Mapping[str, Any]],
    failed: Iterable[str],
) -> str:
    """Compose the note, as Markdown of at most 1,000 characters.

    `results` are the tasks' results by task id, `failed` the tasks that failed themselves.
    `started` says what started the run, for a run that consumed no cause of training.
    """
    failed = list(failed)
    refused = {
        name: results[name] for name in failed if results.get(name, {}).get("accepted") is False
    }
    lines = [
        _headline(state, results, failed, refused),
        "",
        f"Why it ran: {_why(results, started)}",
    ]
    if interval:
        lines.append(f"Data: {interval}")
    for name, result in refused.items():
        reasons = [str(reason) for reason in result.get("reasons", [])]
        lines += [f"- {shortened(reason, LINE_CHARACTERS)}" for reason in reasons[:SHOWN_REASONS]]
        if len(reasons) > SHOWN_REASONS:
            lines.append(f"- and {len(reasons) - SHOWN_REASONS} more in the log of `{name}`")
    note = "\n\n".join(line for line in lines if line)
    return note if len(note) <= NOTE_CHARACTERS else f"{note[: NOTE_CHARACTERS - 3]}..."


def _headline(
    state: str,
    results: Mapping[str, Mapping[str, Any]],
    failed: list[str],
    refused: Mapping[str, Mapping[str, Any]],
) -> str:
    back = next((name for name, look in refused.items() if look.get("move") == "abort"), None)
    if back is not None:
        version = results.get("select_version", {}).get("version")
        return f"**Rolled back** in `{back}`: version {version} does not serve."
    if refused:
        return f"**Refused** by {_listed(refused)}."
    if failed:
        return f"**Failed** in {_listed(failed)}: its log says why."
    if state != "success":
        return f"**{state.capitalize()}.**"
    alarm = _alarm(results)
    if alarm:
        return alarm
    return f"**Done.** {' '.join(_outcomes(results))}".rstrip()


def _alarm(results: Mapping[str, Mapping[str, Any]]) -> str | None:
    """The alarm of a monitoring run with its reasons, and why it starts nothing where it does not;
    `None` without an alarm.
    """
    decided, raised = results.get("decide_alarm", {}), results.get("raise_alarm", {})
    if not decided.get("alarm"):
        return None
    reasons = " ".join(str(reason) for reason in decided.get("reasons", []))
    became = "" if raised.get("announce", True) else f" {raised['reason']}"
    return f"**Alarm.** {shortened(reasons, LINE_CHARACTERS)}{became}"


def task_note_of(result: Mapping[str, Any]) -> str | None:
    """The note of a task that announces causes of training: the cause, or why it starts nothing.

    `result` is an `Announcement` as JSON; `None` where it speaks of no cause, as in a quiet month.
    """
    cause_id = str(result.get("extra", {}).get("cause_id", ""))
    if not cause_id:
        return None
    kind, _, _ = cause_id.partition(":")
    return f"**{words_of([kind])}.** {shortened(str(result['reason']), LINE_CHARACTERS)}"


def _outcomes(results: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What the run changed, as its last deciding steps tell it."""
    outcomes = []
    if (registered := results.get("register_model")) is not None:
        outcomes.append(f"Version {registered.get('version')} is registered as challenger.")
    if (released := results.get("promote_version")) is not None:
        outcomes.append(f"Version {released.get('version')} is in service.")
        outcomes += _passed_stages(results)
    if (back := results.get("roll_back")) is not None:
        outcomes.append(f"Version {back.get('version')} is in service again.")
    if "decide_alarm" in results:
        outcomes.append("No alarm.")
    announced = [result for result in results.values() if result.get("announce")]
    return [*outcomes, *filter(None, map(task_note_of, announced))]


def _passed_stages(results: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """What each stage of a rollout compared, where it had something to compare."""
    passed = [look for look in results.values() if look.get("move") in ("advance", "complete")]
    for look in sorted(passed, key=lambda look: float(look["share"])):
        rows = look["verdict"].get("challenger_rows")
        judged = "a person let it go on" if rows is None else f"{rows:,} rows"
        yield f"`{look['stage']}` passed ({judged})."


def _why(results: Mapping[str, Mapping[str, Any]], started: str) -> str:
    causes = results.get("open_run", {}).get("causes") or []
    sentences = [shortened(sentence_of(cause), LINE_CHARACTERS) for cause in causes]
    return "; ".join(sentences) or started


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


@hookimpl
def on_dag_run_success(dag_run: DagRun, msg: str) -> None:  # noqa: ARG001  # Airflow's interface
    """Write the note of a run that ended well."""
    write_note(dag_run)


@hookimpl
def on_dag_run_failed(dag_run: DagRun, msg: str) -> None:  # noqa: ARG001  # Airflow's interface
    """Write the note of a run that failed or was refused."""
    write_note(dag_run)


def write_note(dag_run: DagRun) -> None:
    """Give one of our runs its note, unless a person gave it one."""
    from airflow.models.dagrun import DagRun as DagRunModel
    from airflow.utils.session import create_session
    from sqlalchemy import select
    from sqlalchemy.orm import object_session

    if dag_run.dag_id.rpartition("__")[0] not in names():
        return
    session = object_session(dag_run)
    if session is not None:
        _write(dag_run, session)
        return
    # `dag.test()` hands over a run that no session holds.
    with create_session() as own:
        key = {"dag_id": dag_run.dag_id, "run_id": dag_run.run_id}
        stored = own.scalar(select(DagRunModel).filter_by(**key))
        if stored is not None:
            _write(stored, own, state=str(dag_run.state))


def _write(dag_run: DagRun, session: Any, state: str | None = None) -> None:
    instances = dag_run.get_task_instances(session=session)
    results = _results(dag_run, session)
    note = note_of(
        state=state or str(dag_run.state),
        interval=_interval(dag_run),
        started=_started(dag_run),
        results=results,
        failed=[item.task_id for item in instances if str(item.state) == "failed"],
    )
    _put(dag_run, dag_run.dag_run_note, note)
    for instance in instances:
        result = results.get(instance.task_id, {})
        if "announce" in result:
            _put(instance, instance.task_instance_note, task_note_of(result))


def _put(subject: Any, row: Any, text: str | None) -> None:
    """Give a run or task its note, unless the one that it has (`row`) is a person's."""
    if row is None and text is not None:
        subject.note = (text, AUTHOR)
    elif row is not None and row.user_id == AUTHOR:
        row.content = text


def _results(dag_run: DagRun, session: Any) -> dict[str, dict[str, Any]]:
    from airflow.models.xcom import XComModel

    query = XComModel.get_many(run_id=dag_run.run_id, dag_ids=dag_run.dag_id, key="return_value")
    results: dict[str, dict[str, Any]] = {}
    for row in session.scalars(query):
        value = XComModel.deserialize_value(row)
        if isinstance(value, dict):
            results[row.task_id] = value
    return results


def _interval(dag_run: DagRun) -> str:
    start, end = dag_run.data_interval_start, dag_run.data_interval_end
    if start is None or end is None or start >= end:
        return ""
    return f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC"


def _started(dag_run: DagRun) -> str:
    kind = str(getattr(dag_run.run_type, "value", dag_run.run_type))
    if kind == "asset_triggered":
        events = dag_run.consumed_asset_events
        sources = [(event.asset.name, event.source_dag_id) for event in events]
        return sentence_of({"kind": "asset", "who": events_of(sources)})
    cause = {
        "kind": TRIGGERS.get(kind, kind),
        "who": dag_run.triggering_user_name,
        "reason": (dag_run.conf or {}).get("reason"),
    }
    return sentence_of(cause)
