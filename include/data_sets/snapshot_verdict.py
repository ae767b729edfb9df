"""The verdict on one training set, with what it leaves: a report, Data Docs, and the refused rows
put aside.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl

from include.data_sets.champion_reference import against_champion, champion_reference
from include.data_sets.representation import against_whole
from include.data_sets.snapshot import Snapshot, read, snapshot_columns, training_window
from include.data_sets.snapshot_checks import check_snapshot
from include.files import write
from include.quality.data_docs import write_docs
from include.quality.quarantine import put_aside
from include.quality.statistics import describe
from include.quality.validation import data_verdict
from include.registry.versions import RegisteredVersion
from include.reports import share
from include.steps import StepContext
from include.tables.store import TableStore


def judge_snapshot(
    context: StepContext,
    snapshot: Snapshot,
    run: str,
    current: RegisteredVersion | None,
) -> dict[str, Any]:
    """`{"accepted", "reasons", "failures", "warnings", "notes", "references", "report",
    "data_docs", "quarantine"}`, as for a delivery.

    `run` names the folder of the report, `current` is the champion. Everything is judged, even when
    the first rule is broken.
    """
    use_case, settings = context.use_case, context.settings
    frame, table, window = (
        read(use_case, settings, snapshot),
        snapshot.name,
        training_window(use_case, context.interval),
    )
    validation = check_snapshot(use_case, frame, table, window)
    findings = list(validation.findings)
    champion, problems = champion_reference(use_case, current, table)
    notes: list[str] = []
    findings += problems
    if champion is None:
        notes.append(
            f"{table}: not compared: no champion yet"
            if not problems
            else f"{table}: not compared: the champion cannot be read"
        )
    elif set(snapshot_columns(use_case)) <= set(frame.columns):
        changed, notes = against_champion(use_case, frame, table, champion)
        broken = {failure.part for failure in validation.failures if failure.part}
        findings += [failure for failure in changed if failure.part not in broken]
    if set(snapshot_columns(use_case)) <= set(frame.columns):
        figures, lacking = against_whole(use_case, settings, frame, snapshot, window)
        notes, findings = [*notes, *figures], [*findings, *lacking]
    verdict: dict[str, Any] = {
        **data_verdict(findings),
        "warnings": validation.warnings,
        "notes": notes,
        "references": {
            table: [] if champion is None else [f"the training data of champion {champion.version}"]
        },
    }
    aside = (
        put_aside(TableStore(settings.tables_uri), table, frame, window, verdict["reasons"])
        if not verdict["accepted"]
        else None
    )
    verdict["quarantine"] = {} if aside is None else {table: aside}
    folder = settings.reports_dir / "validation" / use_case.name / "training" / run
    title = f"{use_case.title}: training set {window.text}"
    verdict["data_docs"] = str(
        write_docs(folder / "data_docs", title, {table: validation.document}, verdict)
    )
    complete = _report(folder / "validation.json", verdict, frame, validation.result)
    share(settings, folder)
    return complete


def _report(
    path: Path, verdict: dict[str, Any], frame: pl.DataFrame, result: dict[str, Any]
) -> dict[str, Any]:
    complete = {**verdict, "report": str(path)}
    content = {
        **complete,
        "rows": frame.height,
        "statistics": describe(frame),
        "great_expectations": result,
    }
    write(path, json.dumps(content, indent=2, default=str))
    return complete
