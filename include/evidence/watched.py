"""What was watched while the version answered: windows of monitoring, alarms and what became of
them, trainings that followed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from include.alarms.records import Alarm, Happening
from include.alarms.store import AlarmStore
from include.evidence.records import (
    Evidence,
    Lack,
    RecordFile,
    Withheld,
    csv_file,
    day,
    finding,
    json_file,
    missing,
    sentences,
    without_rows,
)
from include.evidence.scope import Scope, sha256
from include.inference_log.log_tables import log_table
from include.interval import Interval
from include.reports import read_report
from include.tables.completed import intervals_table
from include.triggers import causes, decisions
from include.verdict import Finding

SCORING = "batch_scoring"
REPORTS = ("labels.json", "drift.json", "performance.json", "checks.json", "alarm.json")
PICTURE = "report.html"
OPENING, CLOSED, ACKNOWLEDGED = ("raised", "reopened"), "closed", "acknowledged"


def watched(scope: Scope, moment: datetime) -> Iterator[Evidence]:
    """The kinds of evidence about operation."""
    windows = monitored(scope)
    yield _monitoring(scope, windows, moment)
    yield _performance(scope, windows)
    yield _findings(scope)
    yield _alarms(scope, windows)
    yield _retraining(scope)


def monitored(scope: Scope) -> pl.DataFrame:
    """The windows of the period, of whichever version, by their starts."""
    name = f"{scope.use_case.name}/monitoring"
    if not scope.tables.exists(name):
        return pl.DataFrame()
    rows = scope.tables.read(name, where=scope.period.where_overlaps())
    return rows.sort("interval_start", "interval_end")


def _monitor(scope: Scope) -> str:
    return f"flightdeck monitor {scope.use_case.name}"


def _monitoring(scope: Scope, windows: pl.DataFrame, moment: datetime) -> Evidence:
    spans = _spans(windows)
    span = _expected(scope, spans, moment)
    if span is None:
        return missing("monitoring", "a window of monitoring", _monitor(scope))
    gaps = _gaps(span, spans)
    # The newest window is judged when it is over.
    last = spans[-1].end - spans[-1].start if spans else timedelta(0)
    due = [gap for gap in gaps if not (gap.end == span.end and gap.end - gap.start < last)]
    findings: tuple[Finding, ...] = ()
    if due:
        text = (
            f"Nothing was monitored in {sentences((gap.text for gap in due), 3)}: of {span.text}"
            f" {_share(due, span):.0%} have no window."
        )
        findings = (finding("monitoring_gap", scope.name, text, len(due)),)
    if windows.is_empty():
        absent = missing("monitoring", "a window of monitoring in the period", _monitor(scope))
        return Evidence(**{**absent.__dict__, "findings": findings})
    of_version = windows.filter(pl.col("model_version") == scope.version.version).height
    name = f"{scope.use_case.name}/monitoring"
    files, withheld = _reports(scope, spans)
    lacks = (Lack(f"{len(due)} parts of the period in no window", _monitor(scope)),) if due else ()
    return Evidence(
        "monitoring",
        exists=True,
        files=(_table(scope, name, windows), *files),
        facts=(f"{windows.height} windows, {of_version} of them of this version's answers.",),
        lacks=lacks,
        findings=findings,
        withheld=withheld,
    )


def _table(scope: Scope, name: str, rows: pl.DataFrame) -> RecordFile:
    file = f"monitoring/{name.rpartition('/')[2]}.csv"
    shown = rows.drop(column for column in ("detail_json", "report") if column in rows.columns)
    return csv_file(file, shown, f"table {name} at version {scope.tables.version(name)}")


def _spans(windows: pl.DataFrame) -> list[Interval]:
    if windows.is_empty():
        return []
    pairs = windows.select("interval_start", "interval_end").unique().sort(pl.all())
    return [Interval(start, end) for start, end in pairs.iter_rows()]


def _expected(scope: Scope, spans: Sequence[Interval], moment: datetime) -> Interval | None:
    """What should have been monitored: the period; an open side of it ends where the version's
    windows, scored intervals and answers do.
    """
    seen = [*spans, *_scored(scope), *_answered(scope)]
    start = scope.period.since or min((part.start for part in seen), default=None)
    end = scope.period.until or max((part.end for part in seen), default=None)
    if start is None or end is None:
        return None
    end = min(end, moment)
    return Interval(start, end) if end > start else None


def _scored(scope: Scope) -> list[Interval]:
    name = intervals_table(scope.use_case.name)
    if not scope.tables.exists(name):
        return []
    where = (pl.col("process") == SCORING) & scope.period.where_overlaps()
    rows = scope.tables.read(name, columns=["interval_start", "interval_end"], where=where)
    return [Interval(start, end) for start, end in rows.iter_rows()]


def _answered(scope: Scope) -> list[Interval]:
    name, time = log_table(scope.use_case.name), scope.use_case.event_time
    if not scope.tables.exists(name):
        return []
    rows = scope.tables.scan(name).filter(
        scope.period.where(time), pl.col("model_version") == scope.version.version
    )
    first, last = rows.select(first=pl.col(time).min(), last=pl.col(time).max()).collect().row(0)
    return [] if first is None else [Interval(first, last + timedelta(microseconds=1))]


def _gaps(span: Interval, spans: Sequence[Interval]) -> list[Interval]:
    reached, gaps = span.start, []
    for part in spans:
        if part.start > reached:
            gaps.append(Interval(reached, min(part.start, span.end)))
        reached = max(reached, part.end)
        if reached >= span.end:
            return gaps
    return [*gaps, Interval(reached, span.end)]


def _share(parts: Sequence[Interval], span: Interval) -> float:
    length = sum(((part.end - part.start) for part in parts), timedelta(0))
    return length / (span.end - span.start)


def _reports(
    scope: Scope, spans: Sequence[Interval]
) -> tuple[list[RecordFile], tuple[Withheld, ...]]:
    """The JSON of every window's report; its picture by digest."""
    files: list[RecordFile] = []
    withheld: list[Withheld] = []
    for part in spans:
        folder = f"monitoring/{scope.use_case.name}/{part.label}"
        for name in REPORTS:
            content = read_report(scope.settings, f"{folder}/{name}")
            if content is not None:
                document = without_rows(json.loads(content))
                target = f"monitoring/windows/{part.label}/{name}"
                files.append(json_file(target, document, f"reports/{folder}/{name}"))
        picture = read_report(scope.settings, f"{folder}/{PICTURE}")
        if picture is not None:
            path = f"{folder}/{PICTURE}"
            size = len(picture)
            source = f"reports/{path}"
            withheld.append(Withheld(path, sha256(picture), size, source, "a large picture"))
    return files, tuple(withheld)


def _performance(scope: Scope, windows: pl.DataFrame) -> Evidence:
    judged = (
        windows
        if windows.is_empty()
        else windows.filter(pl.col("model_version") == scope.version.version)
    )
    how = f"let labels come (ingest them, or send feedback), then {_monitor(scope)}"
    labelled = judged if judged.is_empty() else judged.filter(pl.col("labelled") > 0)
    if labelled.is_empty():
        return missing("performance", "a window of this version with labels", how)
    without = judged.height - labelled.height
    lacks = (Lack(f"labels in {without} of {judged.height} windows", how),) if without else ()
    rows, labels = int(labelled["rows"].sum()), int(labelled["labelled"].sum())
    columns = [
        name for name in labelled.columns if name not in ("report", "former_json", "reasons_json")
    ]
    name = f"{scope.use_case.name}/monitoring"
    source = f"table {name} at version {scope.tables.version(name)}"
    return Evidence(
        "performance",
        exists=True,
        files=(csv_file("monitoring/performance.csv", labelled.select(columns), source),),
        facts=(f"{labelled.height} windows with labels, {labels:,} labels of {rows:,} rows.",),
        lacks=lacks,
    )


def _findings(scope: Scope) -> Evidence:
    """What the checks found of inputs and answers."""
    files, facts = [], []
    for part in ("findings", "drift", "serving_metrics"):
        name = f"{scope.use_case.name}/{part}"
        if not scope.tables.exists(name):
            continue
        time = "moment" if part == "serving_metrics" else "interval_start"
        rows = scope.tables.read(name, where=scope.period.where(time))
        if not rows.is_empty():
            files.append(_table(scope, name, rows))
            facts.append(f"{rows.height} rows of {part.replace('_', ' ')}.")
    if not files:
        return missing("checks", "checks of inputs and answers in the period", _monitor(scope))
    return Evidence("checks", exists=True, files=tuple(files), facts=tuple(facts))


def _alarms(scope: Scope, windows: pl.DataFrame) -> Evidence:
    store = AlarmStore(scope.settings)
    listed = sorted(store.alarms(use_case=scope.use_case.name), key=lambda item: item.number)
    histories = {alarm.number: store.history(alarm.number) for alarm in listed}
    shown = [alarm for alarm in listed if _concerns(scope, alarm, histories[alarm.number])]
    if not shown and windows.is_empty():
        return missing(
            "alarms", "an alarm, or a window that could have raised one", _monitor(scope)
        )
    document = [
        {
            **without_rows(alarm.model_dump(mode="json", exclude={"evidence"})),
            "history": [item.model_dump(mode="json") for item in histories[alarm.number]],
        }
        for alarm in shown
    ]
    findings = tuple(
        finding("alarm_open", f"alarm {alarm.number}", text, alarm.number)
        for alarm in shown
        for text in _open_at_the_end(scope, alarm, histories[alarm.number])
    )
    numbers = sentences((str(alarm.number) for alarm in shown), 20)
    still_open = sentences(item.subject for item in findings)
    facts = (
        f"{len(shown)} alarms, {len(findings)} of them open at the end of the period.",
        *(_sentence(alarm, histories[alarm.number]) for alarm in shown),
    )
    lacks = (
        (Lack(f"the end of {still_open}", "flightdeck alarms close NUMBER"),) if findings else ()
    )
    return Evidence(
        "alarms",
        exists=True,
        files=(json_file("alarms/alarms.json", document, f"alarms, {numbers or 'none'}"),),
        facts=facts if shown else ("No alarm was raised in the monitored windows.",),
        lacks=lacks,
        findings=findings,
    )


def _concerns(scope: Scope, alarm: Alarm, history: Sequence[Happening]) -> bool:
    """Whether an alarm happened in the period, was open in it, or is about a window of it."""
    if alarm.window is not None and scope.period.meets(alarm.window):
        return True
    if any(scope.period.holds(item.at) for item in history):
        return True
    since = scope.period.since
    before = [item for item in history if since is not None and item.at < since]
    return bool(before) and before[-1].event != CLOSED


def _open_at_the_end(scope: Scope, alarm: Alarm, history: Sequence[Happening]) -> Iterator[str]:
    """A sentence about an alarm that was not closed; of replayed data, whose time is another than
    that of the alarms, by its newest state.
    """
    until = [item for item in history if scope.period.began_before(item.at)] or list(history)
    states = [item.event for item in until if item.event in (*OPENING, CLOSED, ACKNOWLEDGED)]
    if not states or states[-1] == CLOSED:
        return
    opened = [item.at for item in until if item.event in OPENING]
    worker = [item.actor for item in until if item.event == ACKNOWLEDGED]
    who = f"{worker[-1]} works on it" if worker else "nobody acknowledged it"
    yield f"{alarm.title}: open since {day(opened[-1])} and not closed, {who}."


def _sentence(alarm: Alarm, history: Sequence[Happening]) -> str:
    closed = [item for item in history if item.event == CLOSED]
    end = (
        f"closed on {day(closed[-1].at)} by {closed[-1].actor}: {closed[-1].reason}"
        if closed and not alarm.is_open
        else alarm.state
    )
    return f"Alarm {alarm.number}, {alarm.key.kind}, opened {day(alarm.opened_at)}: {end}."


def _retraining(scope: Scope) -> Evidence:
    """Causes and decisions of trainings in the period, and the version's own decision."""
    name = scope.use_case.name
    recorded = [
        cause
        for cause in causes.read_causes(scope.settings, name)
        if scope.period.meets(cause.interval)
    ]
    rows = decisions.read_decisions(scope.use_case, scope.settings)
    rows = rows.filter(
        scope.period.where("data_until") | (pl.col("version") == scope.version.version)
    )
    if not recorded and rows.is_empty():
        return missing(
            "retraining", "a cause or a decision of a training", f"flightdeck train {name}"
        )
    document: list[dict[str, Any]] = [
        {**cause.as_json(), "status": cause.status, "suppressed_because": cause.suppressed_because}
        for cause in recorded
    ]
    refused = rows.filter(pl.col("decision") == decisions.REFUSED).height
    source = f"table {decisions.table_name(scope.use_case)}"
    return Evidence(
        "retraining",
        exists=True,
        files=(
            json_file("retraining/causes.json", document, f"table {causes.table_name(name)}"),
            csv_file("retraining/decisions.csv", rows, source),
        ),
        facts=(f"{len(recorded)} causes, {rows.height} decisions, {refused} of them refusals.",),
    )
