"""What may start a training, and what became of it: new labels, monitoring's alarm, a person, a
schedule.

Whoever sees a cause proposes it here; a policy decides whether it is pending or suppressed; the
training that starts consumes what is pending. Everything is read from our own tables, so neither a
collapsed nor a stalled asset event loses or repeats a cause.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Protocol

from include.errors import DataError, SpecError
from include.interval import Interval
from include.spec import Triggers
from include.steps import StepContext, StepResult
from include.tables.completed import missing
from include.tables.store import TableStore, in_window
from include.triggers.causes import (
    CONSUMED,
    PENDING,
    SUPPRESSED,
    TAKEN,
    Cause,
    Kind,
    amend,
    read_causes,
)
from include.triggers.decisions import read_decisions

DAY_SECONDS = 86_400
MINIMUM_REASON = 3
SHOWN_FAULTS = 5
KINDS: dict[str, Kind] = {"scheduled": "schedule", "backfill": "backfill", "local": "local"}


class Announcement(StepResult):
    """Whether a recorded cause starts a training now, why (not), and what goes with the event."""

    announce: bool
    reason: str
    extra: dict[str, Any]


class ConsumedCauses(StepResult):
    """Why a training runs; no cause where other runs (`taken_by`) have consumed all of them."""

    causes: tuple[dict[str, Any], ...]
    taken_by: tuple[str, ...]


class Alarm(Protocol):
    """What monitoring decided about an interval."""

    @property
    def alarm(self) -> bool:
        """Whether somebody must act."""

    @property
    def verdict(self) -> str:
        """What was found, in a word."""

    @property
    def reasons(self) -> Sequence[str]:
        """A sentence for each finding."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """The interval's figures."""


class Drift(Protocol):
    """What was measured of the inputs."""

    @property
    def judged(self) -> bool:
        """Whether there were enough rows."""

    @property
    def columns(self) -> Sequence[Mapping[str, Any]]:
        """One entry per input and score."""


def propose_alarm(
    context: StepContext,
    decision: Alarm,
    drift: Drift,
    *,
    alarms: Sequence[int] = (),
    now: datetime | None = None,
) -> Announcement:
    """Record monitoring's alarm as a cause, pending or suppressed; `alarms` are the numbers of the
    alarms behind it.

    The same run again gets the decision that it has, and announces nothing that a training has
    already taken. Without an alarm of its own to announce it announces again what a broken training
    has given back.
    """
    if not decision.alarm:
        none = Announcement(announce=False, reason=f"No alarm: {decision.verdict}.", extra={})
        return _given_back(context, "alarm") or none
    limits, faults = context.use_case.triggers, data_faults(context, drift)
    reason = "; ".join(decision.reasons).replace(".; ", ". ") or decision.verdict
    evidence = {"verdict": decision.verdict, "facts": dict(decision.facts)}
    numbered = {"alarms": list(alarms)} if alarms else {}
    alarm = _cause(context, "alarm", reason, {**evidence, **numbered})
    kinds = [
        kind for kind in decision.verdict.split("+") if kind in context.use_case.monitoring.alarm_on
    ]

    def change(causes: list[Cause]) -> list[Cause]:
        if any(cause.cause_id == alarm.cause_id for cause in causes):
            return causes
        why = suppression(
            limits, alarm.interval, causes, faults, kinds=kinds, now=now or datetime.now(UTC)
        )
        return [
            *causes,
            alarm if why is None else replace(alarm, status=SUPPRESSED, suppressed_because=why),
        ]

    extra = {
        "interval": context.interval.as_json(),
        "verdict": decision.verdict,
        "reasons": list(decision.reasons),
        "facts": dict(decision.facts),
    }
    announcement = _announcement(_record(context, alarm.cause_id, change), extra)
    return announcement if announcement.announce else _given_back(context, "alarm") or announcement


def _given_back(context: StepContext, kind: Kind) -> Announcement | None:
    """The newest cause of a kind that a broken training has given back, announced once more."""
    waiting = [
        cause
        for cause in read_causes(context.settings, context.use_case.name)
        if cause.kind == kind and cause.status == PENDING and cause.consumed_by is not None
    ]
    if not waiting:
        return None
    cause = max(waiting, key=lambda cause: cause.interval.end)
    reason = f"{cause.reason} (training {cause.consumed_by} broke before it decided)"
    extra = {"interval": cause.interval.as_json(), "cause_id": cause.cause_id, **cause.evidence}
    return Announcement(announce=True, reason=reason, extra=extra)


def suppression(
    limits: Triggers,
    interval: Interval,
    causes: Sequence[Cause],
    faults: Sequence[str],
    *,
    kinds: Sequence[str],
    now: datetime,
) -> str | None:
    """Why an alarm of these kinds about `interval` starts no training, or `None`.

    A pure function of the limits, what is recorded, and the time of day, by which a training that
    was killed without a word does not run for ever.
    """
    if not set(kinds) & set(limits.retrain_on):
        return (
            f"alarms of the kind {' and '.join(kinds)} start no training: triggers.retrain_on is"
            f" {', '.join(limits.retrain_on) or 'empty'}"
        )
    if faults:
        return (
            f"faulty data: {'; '.join(faults)}. Repair the data and run its processes again; a"
            " training would learn the fault"
        )
    running = next((cause for cause in causes if cause.is_running(now)), None)
    if running is not None:
        return (
            f"training {running.consumed_by} has run since {running.begun_at:%Y-%m-%d %H:%M} UTC;"
            " its model has to be seen first"
        )
    earlier = [cause for cause in causes if cause.kind == "alarm" and cause.status != SUPPRESSED]
    same_day = [cause for cause in earlier if cause.interval.end.date() == interval.end.date()]
    if len(same_day) >= limits.alarms_per_day:
        return (
            f"daily limit: {len(same_day)} alarms of {interval.end:%Y-%m-%d} have started"
            f" trainings, limit {limits.alarms_per_day}"
        )
    nearest = min((abs(interval.end - cause.interval.end) for cause in earlier), default=None)
    if nearest is not None and nearest < limits.alarm_cool_down:
        return (
            f"cool-down: {nearest.total_seconds() / DAY_SECONDS:.1f} days of data since the last"
            " alarm that started a training, minimum"
            f" {limits.alarm_cool_down.total_seconds() / DAY_SECONDS:.1f}"
        )
    return None


def data_faults(context: StepContext, drift: Drift) -> list[str]:
    """What is wrong with the interval's data rather than with the model, in sentences."""
    unjudged = [] if drift.judged else ["drift could not be judged"]
    return [*unjudged, *broken_data(context, drift)]


def broken_data(context: StepContext, drift: Drift) -> list[str]:
    """The faults that were seen: inputs that are missing, features that were never computed."""
    limit = context.use_case.triggers.fault_missing_share
    broken = [
        column
        for column in drift.columns
        if column["missing_share"] - column["reference_missing_share"] > limit
    ]
    faults = [
        f"input {column['column']} is missing, stale or unknown in {column['missing_share']:.0%} of"
        f" the rows, {column['reference_missing_share']:.0%} in the training data"
        for column in broken[:SHOWN_FAULTS]
    ]
    tables = TableStore(context.settings.tables_uri)
    gaps = missing(tables, context.use_case.name, "features", context.interval)
    if gaps:
        faults.append(
            f"features from {gaps[0].start:%Y-%m-%d %H:%M} to {gaps[0].end:%Y-%m-%d %H:%M} were"
            " refused or never computed"
        )
    return faults


def check_new_data(context: StepContext) -> Announcement:
    """Whether enough labels became known since the last training:

    `{"announce", "reason", "extra"}`.
    """
    extra: dict[str, Any] = {"interval": context.interval.as_json()}
    counted = count_new_labels(context)
    reason, enough = judge_new_data(context.use_case.triggers, counted)
    cause = _cause(context, "new_data", reason, counted)

    def change(causes: list[Cause]) -> list[Cause]:
        recorded_before = any(earlier.cause_id == cause.cause_id for earlier in causes)
        # The interval's end may have been announced by another run while this one counted.
        raced = any(
            earlier.kind == "new_data" and earlier.interval.end >= cause.interval.end
            for earlier in causes
        )
        return causes if recorded_before or raced or not enough else [*causes, cause]

    recorded = _record(context, cause.cause_id, change)
    announcement = (
        Announcement(announce=False, reason=reason, extra={**extra, "evidence": counted})
        if recorded is None
        else _announcement(recorded, {**extra, "evidence": recorded.evidence})
    )
    if announcement.announce:
        return announcement
    return _given_back(context, "new_data") or announcement


def count_new_labels(context: StepContext) -> dict[str, Any]:
    """`{"rows", "since", "until", "last_training", "last_rows", "share"}`; `since` is null before
    the first training.

    Counted are the labels that became known from `since` on and before the interval's end. `since`
    is the end of the data that the last decided training could have read, or of the newest
    announced interval where its training is still under way.
    """
    use_case, data_set, until = context.use_case, context.use_case.data_set, context.interval.end
    counted: dict[str, Any] = {
        "rows": 0,
        "since": None,
        "until": until.isoformat(),
        "last_training": None,
        "last_rows": None,
        "share": None,
    }
    decisions = read_decisions(use_case, context.settings)
    if decisions.is_empty():
        return counted
    last = decisions.row(-1, named=True)
    announced = [
        cause.interval.end
        for cause in read_causes(context.settings, use_case.name)
        if cause.kind == "new_data"
    ]
    since = max([last["data_until"], *announced])
    if until > since:
        window = in_window(data_set.label_time, since, until)
        counted["rows"] = (
            TableStore(context.settings.tables_uri)
            .read(data_set.label_table, columns=[data_set.label_time], where=window)
            .height
        )
    share = counted["rows"] / last["rows"] if last["rows"] else None
    return {
        **counted,
        "since": since.isoformat(),
        "last_training": last["run_id"],
        "last_rows": last["rows"],
        "share": share,
    }


def judge_new_data(limits: Triggers, counted: Mapping[str, Any]) -> tuple[str, bool]:
    """The sentence and the decision; without something to compare with nothing starts by itself."""
    if counted["since"] is None:
        return (
            "No training has been decided yet: start the first one by hand or on a schedule.",
            False,
        )
    rows, share = counted["rows"], counted["share"]
    if share is None:
        return (
            (
                f"{rows} new labels; training {counted['last_training']} recorded no number of rows"
                " to compare with."
            ),
            False,
        )
    sentence = (
        f"{rows} labels became known since {counted['since']}, {share:.2f} of the last training's"
        f" {counted['last_rows']} rows"
    )
    enough = rows >= limits.new_rows and share >= limits.new_share
    return f"{sentence}; limits {limits.new_rows} rows and {limits.new_share:.2f}.", enough


def collect_causes(context: StepContext, *, now: datetime | None = None) -> ConsumedCauses:
    """Take every pending cause for this run, in one transaction; they are consumed when it has
    decided.

    A run takes the causes whose data its window reaches; a later one waits for its own run. A
    schedule and a person are causes themselves. `causes` is empty when this run was started by
    events whose causes other runs (`taken_by`) have consumed. Raises `SpecError` when a person
    started the run without a reason.
    """
    run_id, begun_at = context.run.run_id, now or datetime.now(UTC)
    own_ones = [replace(cause, begun_at=begun_at) for cause in own_causes(context)]
    announced = {
        cause["extra"]["cause_id"]
        for cause in context.run.causes
        if cause.get("extra", {}).get("cause_id")
    }

    def change(causes: list[Cause]) -> list[Cause]:
        recorded_before = {cause.cause_id for cause in causes}
        taken = [
            (
                replace(cause, status=TAKEN, consumed_by=run_id, begun_at=begun_at, ended_at=None)
                if cause.status == PENDING
                and (cause.interval.end <= context.interval.end or cause.cause_id in announced)
                else cause
            )
            for cause in causes
        ]
        return [*taken, *(cause for cause in own_ones if cause.cause_id not in recorded_before)]

    causes = amend(context.settings, context.use_case.name, change)
    others = {
        cause.consumed_by
        for cause in causes
        if cause.cause_id in announced and cause.consumed_by != run_id
    }
    consumed = [cause.as_json() for cause in causes if cause.consumed_by == run_id]
    return ConsumedCauses(
        causes=tuple(consumed), taken_by=tuple(sorted(other for other in others if other))
    )


def own_causes(context: StepContext) -> list[Cause]:
    """The causes that nobody but this run can record: its schedule, its person, or an event that
    was posted past our operators.
    """
    run = context.run
    if run.trigger == "asset":
        posted = [event for event in run.causes if not event.get("extra", {}).get("cause_id")]
        return [_posted(context, event, number) for number, event in enumerate(posted)]
    if run.trigger in KINDS:
        kind, cron = KINDS[run.trigger], context.use_case.schedule.training_cron
        reason = (
            run.params.get("reason") or f"{run.trigger} for the interval {context.interval.label}"
        )
        return [
            replace(
                _cause(context, kind, str(reason), {"cron": cron, "parameters": run.params}),
                status=CONSUMED,
                consumed_by=run.run_id,
            )
        ]
    reason = str(run.params.get("reason") or "").strip()
    if len(reason) < MINIMUM_REASON:
        raise SpecError(
            f"{context.use_case.dag_id(run.process)}: run {run.run_id} was started by"
            f" {run.triggered_by or 'a person'} without a reason. Trigger it again with the"
            ' parameter `reason`, for example {"reason": "new carrier since March",'
            ' "until": "2013-04-01"}.'
        )
    return [
        replace(
            _cause(context, "manual", reason, {"parameters": run.params}),
            status=CONSUMED,
            consumed_by=run.run_id,
        )
    ]


def _posted(context: StepContext, event: Mapping[str, Any], number: int) -> Cause:
    cause = _cause(
        context, "event", f"asset event on {event.get('asset')}", {"extra": event.get("extra", {})}
    )
    who = str(event.get("source_run_id") or "posted to Airflow's API")
    return replace(
        cause,
        cause_id=f"{cause.cause_id}:{number}",
        who=who,
        status=CONSUMED,
        consumed_by=context.run.run_id,
    )


def _cause(context: StepContext, kind: Kind, reason: str, evidence: dict[str, Any]) -> Cause:
    run = context.run
    # Who started monitoring did not raise its alarm: the process that saw it did.
    who = {
        "manual": run.triggered_by or "unknown",
        "schedule": "the schedule",
        "backfill": run.triggered_by or "a backfill",
    }.get(kind, context.use_case.dag_id(run.process))
    return Cause(
        cause_id=f"{kind}:{run.run_id}",
        kind=kind,
        reason=reason,
        who=who,
        interval=context.interval,
        evidence=evidence,
        source_dag_id=context.use_case.dag_id(run.process),
        source_run_id=run.run_id,
    )


def _record(context: StepContext, cause_id: str, change: Any) -> Cause | None:
    causes = amend(context.settings, context.use_case.name, change)
    return next((cause for cause in causes if cause.cause_id == cause_id), None)


def _announcement(cause: Cause | None, extra: dict[str, Any]) -> Announcement:
    """What the operator does about a recorded cause: announce it while it is pending, otherwise say
    what became of it.
    """
    if cause is None:
        raise DataError("The cause is gone that was recorded in this very transaction; run again.")
    event = {**extra, "cause_id": cause.cause_id}
    if cause.status == PENDING:
        return Announcement(announce=True, reason=cause.reason, extra=event)
    became = (
        f"Suppressed: {cause.suppressed_because}."
        if cause.status == SUPPRESSED
        else f"Training {cause.consumed_by} has taken it."
    )
    return Announcement(announce=False, reason=became, extra=event)
