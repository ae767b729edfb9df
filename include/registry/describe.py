"""What a reviewer reads on a version's page: the verdict, every gate's row, the champion it met,
snapshot and commit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from include.quality.summaries import HEADINGS, rows_of
from include.verdict import GATE_COLUMNS, Finding, GateVerdict, as_markdown, markdown_cell

SHOWN_METRICS = (
    "auc",
    "average_precision",
    "brier",
    "logloss",
    "ece",
    "mean_score",
    "observed_rate",
    "n",
)
OTHER_METRICS = (
    "accuracy",
    "balanced_accuracy",
    "rmse",
    "mae",
    "r2",
    "bias",
    "decile_error",
    "mean_label",
)
MAX_GATE_ROWS = 60


def version_description(
    verdict: GateVerdict,
    run_tags: Mapping[str, str],
    metrics: Mapping[str, float],
    summary: Mapping[str, Any] | None = None,
) -> str:
    """Markdown.

    `verdict` is that of `check_gates`, `run_tags` and `metrics` are the training run's, `summary`
    its data_summary.json.
    """
    parts = [
        _headline(verdict, run_tags),
        _gates(verdict.findings),
        _metrics(metrics),
        _origin(run_tags),
    ]
    return "\n\n".join([*parts, *([] if summary is None else [_data(summary)])])


def version_tags(verdict: GateVerdict, run_tags: Mapping[str, str], digest: str) -> dict[str, str]:
    """`digest`, `decision`, `gate.<gate>` (passed or refused over all its rows) and where the
    version comes from.
    """
    tags = {"digest": digest, "decision": "accepted" if verdict.accepted else "refused"}
    for gate, passed in gate_outcomes(verdict.findings).items():
        tags[f"gate.{gate}"] = "passed" if passed else "refused"
    compared = verdict.champion_version
    tags["champion_compared"] = "none" if compared is None else str(compared)
    tags.update(
        {
            name.removeprefix("flightdeck."): value
            for name, value in run_tags.items()
            if name.startswith("flightdeck.")
        }
    )
    return tags


def gate_outcomes(findings: Sequence[Finding]) -> dict[str, bool]:
    """Per gate, whether all its findings passed."""
    outcomes: dict[str, bool] = {}
    for finding in findings:
        outcomes[finding.rule] = outcomes.get(finding.rule, True) and finding.passed
    return outcomes


def _headline(verdict: GateVerdict, tags: Mapping[str, str]) -> str:
    findings = verdict.findings
    compared = verdict.champion_version
    against = (
        "No champion existed: the bootstrap rule applied."
        if compared is None
        else f"Compared with champion version {compared}."
    )
    trigger = tags.get("flightdeck.trigger", "unknown")
    outcome = "Accepted" if verdict.accepted else "Refused"
    unjudged = len(verdict.not_judged)
    judged = len(findings) - unjudged
    passed = judged - len(verdict.refused)
    return (
        f"## {outcome}\n\n{passed} of {judged} checks passed in {len(gate_outcomes(findings))}"
        f" gates, {unjudged} were not judged (slice too small). {against} Data"
        f" interval: {tags.get('flightdeck.interval_start', '?')} to"
        f" {tags.get('flightdeck.interval_end', '?')}; started by: {trigger}."
    )


def _gates(findings: Sequence[Finding]) -> str:
    table = as_markdown(findings, GATE_COLUMNS, most=MAX_GATE_ROWS)
    more = len(findings) - MAX_GATE_ROWS
    if more > 0:
        table += f"\n\n{more} more passed rows are in the run's artefact gates.json."
    return f"### Gates\n\n{table}"


def _metrics(metrics: Mapping[str, float]) -> str:
    splits = ("train", "validation", "test")
    lines = ["| metric | " + " | ".join(splits) + " |", "|---|---|---|---|"]
    names = [
        name
        for name in (*SHOWN_METRICS, *OTHER_METRICS)
        if any(f"{split}.{name}" in metrics for split in splits)
    ]
    lines.extend(
        f"| {name} | "
        + " | ".join(markdown_cell(metrics.get(f"{split}.{name}")) for split in splits)
        + " |"
        for name in names
    )
    return "### Metrics\n\n" + "\n".join(lines)


def _origin(tags: Mapping[str, str]) -> str:
    shown = ("architecture", "snapshot", "snapshot_digest", "code_commit", "run_id", "digest")
    return "### Origin\n\n" + "\n".join(
        f"- {name.replace('_', ' ')}: `{tags.get(f'flightdeck.{name}', 'unknown')}`"
        for name in shown
    )


def _data(summary: Mapping[str, Any]) -> str:
    lines = ["| " + " | ".join(HEADINGS) + " |", "|---" * len(HEADINGS) + "|"]
    lines.extend(
        "| " + " | ".join(markdown_cell(cell) for cell in row) + " |"
        for row in rows_of(summary, "train")
    )
    return "### Training data (train split; all splits: data_summary.json)\n\n" + "\n".join(lines)
