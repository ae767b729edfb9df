"""What was measured of the version before it was released, and what the gates said of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from include.evidence.records import (
    Evidence,
    Lack,
    RecordFile,
    finding,
    json_file,
    missing,
    sentences,
    without_rows,
)
from include.evidence.scope import Scope
from include.release.rollout.overrides import GATES_FILE, gate_override

EVALUATION, SLICES, INTERVALS = "evaluation.json", "slices.json", "intervals.json"
ATTRIBUTIONS, ATTRIBUTED_ROWS = "attributions.json", "attribution_rows.json"
PLOTS, ROW_PLOT = "plots/", "plots/attribution_rows.png"
INSPECTION = "inspection.json"
FAIRNESS = "fairness"
ROBUSTNESS: Mapping[str, str] = {
    "perturbation": "noise on the inputs",
    "missing_values": "each input missing",
    "direction": "declared directions",
    "invariance": "declared invariances",
}
"""Gates on answers to changed inputs; the last two judge what a use case declares."""
WITHHELD = "holds values of single rows"


def judged(scope: Scope) -> Iterator[Evidence]:
    """The kinds of evidence about quality before the release."""
    yield _evaluation(scope)
    yield _golden(scope)
    yield _gates(scope)
    yield _slices(scope)
    yield _fairness(scope)
    yield _robustness(scope)
    yield _explanations(scope)


def _train(scope: Scope) -> str:
    return f"flightdeck train {scope.use_case.name}"


def _shown(scope: Scope, path: str) -> RecordFile | None:
    """A JSON file of the run without single rows."""
    record = scope.run_file(path, f"evaluation/{path}")
    if record is None:
        return None
    return json_file(record.name, without_rows(json.loads(record.content)), record.source)


def _evaluation(scope: Scope) -> Evidence:
    measured = _shown(scope, EVALUATION)
    if measured is None:
        return missing("evaluation", "what was measured of the version", _train(scope))
    document = json.loads(measured.content)
    plots = [
        RecordFile(f"evaluation/{path}", content, f"{scope.run_source}, {path}")
        for path, content in sorted(scope.run_files.items())
        if path.startswith(PLOTS) and path != ROW_PLOT
    ]
    intervals = _shown(scope, INTERVALS)
    lacks = [] if intervals else [Lack("how sure the metrics are", _train(scope))]
    findings = []
    if document.get("digest") != scope.version.digest:
        findings.append(
            finding(
                "evaluation",
                scope.name,
                "What was evaluated has another digest than what was registered.",
                document.get("digest"),
            )
        )
    test = document.get("splits", {}).get("test", {})
    shown = ", ".join(
        f"{name} {value:.4g}" for name, value in test.items() if isinstance(value, int | float)
    )
    return Evidence(
        "evaluation",
        exists=True,
        files=tuple(filter(None, (measured, intervals, *plots))),
        facts=(f"Test split: {shown or 'no metric'}.",),
        lacks=tuple(lacks),
        findings=tuple(findings),
    )


def _golden(scope: Scope) -> Evidence:
    document = scope.run_json(EVALUATION) or {}
    golden = document.get("golden")
    if not golden:
        return missing(
            "golden",
            "metrics on a golden set that no training sees",
            f"declare DataSet(golden=...) in use_cases/{scope.use_case.name}/spec.py and train"
            " again",
        )
    source = f"{scope.run_source}, {EVALUATION}"
    content = json_file("evaluation/golden.json", without_rows(golden), source)
    return Evidence("golden", exists=True, files=(content,))


def _gates(scope: Scope) -> Evidence:
    rows = scope.run_table(GATES_FILE)
    if not rows:
        return missing("gates", "verdicts of gates", _train(scope))
    refused = sorted({row["gate"] for row in rows if not row["passed"]})
    gates = {row["gate"] for row in rows}
    override = gate_override(scope.version_entries, scope.version.version, scope.version.digest)
    decision = scope.version.tags.get("decision")
    findings = []
    if refused or decision == "refused":
        forced = (
            "no row of the ledger lets it be released"
            if override is None
            else f"{override.actor} let it be released all the same (row {override.number} of the"
            f" ledger: {override.reason})"
        )
        findings.append(
            finding(
                "gates",
                scope.name,
                f"The version was refused by {sentences(refused) or 'its gates'}, and {forced}.",
                len(refused),
            )
        )
    record = _shown(scope, GATES_FILE)
    return Evidence(
        "gates",
        exists=True,
        files=tuple(filter(None, (record, _shown(scope, INSPECTION)))),
        facts=(f"{len(rows)} verdicts of {len(gates)} gates, {len(refused)} gates refused.",),
        findings=tuple(findings),
    )


def _slices(scope: Scope) -> Evidence:
    rows = scope.run_table(SLICES)
    how = f"declare slices in use_cases/{scope.use_case.name}/spec.py and train again"
    if not rows:
        return missing("slices", "metrics of parts of the rows", how)
    columns = sorted({str(row["column"]) for row in rows})
    record = _shown(scope, SLICES)
    return Evidence(
        "slices",
        exists=True,
        files=tuple(filter(None, (record,))),
        facts=(f"Slices by {sentences(columns)}.",),
    )


def _fairness(scope: Scope) -> Evidence:
    """Present where a rate of at least two groups was compared with a limit."""
    rows = [row for row in scope.run_table(GATES_FILE) if row["gate"] == FAIRNESS]
    how = f"declare Gates(fairness=...) in use_cases/{scope.use_case.name}/spec.py and train again"
    compared = [row for row in rows if row["metric"] not in ("groups", "group_rows")]
    measured = [row for row in compared if row["observed"] is not None]
    if not measured:
        return missing("fairness", "a comparison of groups of people or things", how)
    source = f"{scope.run_source}, {GATES_FILE}"
    groups = sorted({str(row["slice"]) for row in measured})
    lacks = (
        (Lack(f"{len(compared) - len(measured)} comparisons, whose groups are too small", how),)
        if len(measured) < len(compared)
        else ()
    )
    refused = [str(row["metric"]) for row in compared if not row["passed"]]
    findings = (
        (finding("fairness", scope.name, f"Groups differ beyond the limit: {sentences(refused)}."),)
        if refused
        else ()
    )
    return Evidence(
        "fairness",
        exists=True,
        files=(json_file("evaluation/fairness.json", rows, source),),
        facts=(f"{len(measured)} comparisons over {sentences(groups)}.",),
        lacks=lacks,
        findings=findings,
    )


def _robustness(scope: Scope) -> Evidence:
    rows = [row for row in scope.run_table(GATES_FILE) if row["gate"] in ROBUSTNESS]
    measured = [row for row in rows if row["observed"] is not None]
    if not measured:
        return missing("robustness", "answers to changed inputs", _train(scope))
    without = sorted(ROBUSTNESS.keys() - _names(measured))
    where = f"use_cases/{scope.use_case.name}/spec.py"
    lacks = tuple(
        Lack(f"answers under {ROBUSTNESS[name]}", f"declare it in Gates(...) of {where}")
        for name in without
    )
    source = f"{scope.run_source}, {GATES_FILE}"
    return Evidence(
        "robustness",
        exists=True,
        files=(json_file("evaluation/robustness.json", rows, source),),
        facts=(f"Judged: {sentences(ROBUSTNESS[name] for name in sorted(_names(measured)))}.",),
        lacks=lacks,
    )


def _names(rows: Sequence[Mapping[str, Any]]) -> set[str]:
    return {str(row["gate"]) for row in rows}


def _explanations(scope: Scope) -> Evidence:
    record = _shown(scope, ATTRIBUTIONS)
    if record is None:
        return missing("explanations", "how much each input matters", _train(scope))
    withheld = tuple(
        scope.withheld(path, WITHHELD)
        for path in (ATTRIBUTED_ROWS, ROW_PLOT)
        if path in scope.run_files
    )
    first = [str(row["input"]) for row in scope.run_table(ATTRIBUTIONS)]
    return Evidence(
        "explanations",
        exists=True,
        files=(record,),
        facts=(f"What matters most: {sentences(first, 3)}.",),
        withheld=withheld,
    )
