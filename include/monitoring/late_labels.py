"""Labels that came after their window was judged: the windows before are judged again by what has
become known since, and a verdict that turns says so.

A window's own run counts the labels that were known when it ended. Each later run counts those of
the last `late_windows` windows up to its own end. Only a verdict that turns is written: not judged
becomes judged, quiet becomes decayed, or decayed quiet. So a run that is repeated finds the same.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any, Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from include.errors import DataError, RegistryError
from include.interval import Interval
from include.monitoring import alarm, drift, performance, records
from include.monitoring.decay import BOUNDS, PERFORMANCE
from include.monitoring.labels import LABEL, attach, read_labels
from include.registry.versions import version
from include.scoring.batch import predictions_table
from include.scoring.champion import registered_model
from include.settings import Settings
from include.spec import UseCase
from include.tables.store import TIMESTAMP, TableStore, in_window
from include.verdict import Finding

LOG = logging.getLogger(__name__)
Outcome = Literal["not judged", "quiet", "decayed"]
LATE_LABELS = "late_labels"
OF_A_WINDOW = ("interval_start", "interval_end")


class ReopenedWindow(BaseModel):
    """A window whose verdict turned: what it was, what it is, and by how many labels.

    `findings` are those about performance now, the first of which says that it turned. `decides` is
    whether no window after it has been judged, so that its alarm is opened or closed by it.
    """

    model_config = ConfigDict(frozen=True)

    interval: Interval
    model_version: int
    before: Outcome
    after: Outcome
    verdict: str
    alarm: bool
    labelled_before: int
    labelled: int
    findings: tuple[Finding, ...]
    metrics: dict[str, float]
    bounds: dict[str, float] = Field(default_factory=dict)
    decides: bool = True

    @property
    def sentence(self) -> str:
        """What turned, and why."""
        return (
            f"Late labels turn the verdict on {self.interval.text} from {self.before} to"
            f" {self.after}: {self.labelled:,} labels, {self.labelled_before:,} when it was judged."
        )


def reopen(
    use_case: UseCase, tables: TableStore, settings: Settings, interval: Interval, *, judged: bool
) -> list[ReopenedWindow]:
    """The windows before the interval whose verdict the labels turn that are known at its end, the
    oldest first; their rows of `<use_case>/monitoring` are written anew.

    `judged` is whether the interval's own performance was: then no window before it decides on the
    alarm. A window whose version is gone stays as it was judged.
    """
    turned: list[ReopenedWindow] = []
    for row in reversed(_rows_before(use_case, tables, interval)):
        state = _before(row, interval)
        reopened = None
        if state is not None:
            reopened = _judge_safely(use_case, tables, settings, interval, row, state)
        if reopened is not None:
            reopened = reopened.model_copy(update={"decides": not judged})
            _write(use_case, tables, settings, interval, row, state or {}, reopened)
            turned.append(reopened)
        judged = judged or (reopened.after if reopened else outcome_of(use_case, row)) != (
            "not judged"
        )
    return turned[::-1]


def outcome_of(use_case: UseCase, row: Mapping[str, Any]) -> Outcome:
    """What a window's row says of performance."""
    if PERFORMANCE in row["verdict"].split("+"):
        return "decayed"
    return "quiet" if row["labelled"] >= use_case.monitoring.minimum_rows else "not judged"


def _rows_before(use_case: UseCase, tables: TableStore, interval: Interval) -> list[dict[str, Any]]:
    name, count = f"{use_case.name}/monitoring", use_case.monitoring.late_windows
    if count == 0 or not tables.exists(name):
        return []
    before = pl.col("interval_end") <= pl.lit(interval.start, dtype=TIMESTAMP)
    rows = tables.read(name, where=before).sort(OF_A_WINDOW).tail(count)
    return rows.to_dicts()


def _before(row: Mapping[str, Any], interval: Interval) -> dict[str, Any] | None:
    """What the window was before this run looks at it; None where a later run has."""
    until = row.get("labels_until") or row["interval_end"]
    if until > interval.end:
        return None
    if until == interval.end:  # this very run turned it, and is repeated
        former: dict[str, Any] = json.loads(row["former_json"])[-1]
        return former
    return {name: row[name] for name in ("verdict", "labelled", "alarm")}


def _judge_safely(*window: Any) -> ReopenedWindow | None:
    """Nothing about a window before holds back the alarm of this one."""
    try:
        return _judge(*window)
    except (RegistryError, DataError) as error:
        LOG.warning("A window before is not judged again: %s", error)
        return None


def _judge(
    use_case: UseCase,
    tables: TableStore,
    settings: Settings,
    interval: Interval,
    row: Mapping[str, Any],
    state: Mapping[str, Any],
) -> ReopenedWindow | None:
    """None where no label has come since, or none that turns the verdict."""
    window, number = Interval(row["interval_start"], row["interval_end"]), row["model_version"]
    where = in_window(use_case.event_time, window.start, window.end)
    rows = tables.read(predictions_table(use_case), where=where)
    rows = rows.filter(pl.col("model_version") == number)
    labelled = attach(use_case, rows, read_labels(use_case, tables, window.start), interval.end)
    count = labelled.height - labelled[LABEL].null_count()
    if count <= state["labelled"]:
        return None
    model = registered_model(settings, use_case, version(settings, use_case, number))
    metrics = performance.measure(labelled, use_case)
    judged = performance.judge(
        metrics, performance.baseline(model), use_case.monitoring, use_case.problem.kind
    )
    findings = tuple(judged["findings"])
    refused = any(not item.passed for item in findings)
    after: Outcome = "not judged" if not judged["judged"] else "decayed" if refused else "quiet"
    before = outcome_of(use_case, state)
    if after == before:
        return None
    decision = alarm.policy(use_case.monitoring, (_drift_of(row), *findings))
    reopened = ReopenedWindow(
        interval=window,
        model_version=number,
        before=before,
        after=after,
        verdict=decision["verdict"],
        alarm=decision["alarm"],
        labelled_before=state["labelled"],
        labelled=count,
        findings=findings,
        metrics=metrics,
        bounds=judged["bounds"],
    )
    said = Finding(
        rule=LATE_LABELS, subject=PERFORMANCE, passed=not refused, reason=reopened.sentence
    )
    return reopened.model_copy(update={"findings": (said, *findings)})


def _drift_of(row: Mapping[str, Any]) -> Finding:
    """What the window's row says of drift, which no label changes."""
    names = json.loads(row["drifted_inputs_json"])
    return Finding(
        rule="drifted_share",
        subject=drift.DRIFT,
        observed=len(names),
        passed=row["drift"] != "drifted",
        judged=row["drift"] != "not judged",
        reason=f"Drifted inputs: {', '.join(names) or 'none'}",
    )


def _write(
    use_case: UseCase,
    tables: TableStore,
    settings: Settings,
    interval: Interval,
    row: Mapping[str, Any],
    state: Mapping[str, Any],
    reopened: ReopenedWindow,
) -> None:
    """The window's row with the new verdict, and the former ones; and `reopened.json`."""
    former = [item for item in json.loads(row.get("former_json") or "[]") if item != dict(state)]
    decision = alarm.policy(use_case.monitoring, (_drift_of(row), *reopened.findings))
    new = {
        **row,
        **{name: value for name, value in reopened.metrics.items() if name in row},
        **{name: reopened.bounds.get(name) for name in BOUNDS},
        "labelled": reopened.labelled,
        "alarm": reopened.alarm,
        "verdict": reopened.verdict,
        "reasons_json": json.dumps([*decision["reasons"], *decision["not_judged"]]),
        "labels_until": interval.end,
        "former_json": json.dumps([*former, dict(state)]),
    }
    columns = {
        name: new.get(name)
        for name in records.monitoring_schema(use_case)
        if name not in OF_A_WINDOW
    }
    records.write_monitoring(use_case, tables, reopened.interval, columns)
    folder = records.report_folder(settings, use_case, reopened.interval)
    records.write_json(settings, folder, "reopened.json", reopened.model_dump(mode="json"))
