"""What a reviewer reads on a version's page: the verdict, every gate's row, the champion it met,
snapshot and commit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

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
    verdict: Mapping[str, Any],
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
        _gates(verdict.get("rows", [])),
        _metrics(metrics),
        _origin(run_tags),
    ]
    return "\n\n".join([*parts, *([] if summary is None else [_data(summary)])])


def version_tags(
    verdict: Mapping[str, Any], run_tags: Mapping[str, str], digest: str
) -> dict[str, str]:
    """`digest`, `decision`, `gate.<gate>` (passed or refused over all its rows) and where the
    version comes from.
    """
    tags = {"digest": digest, "decision": "accepted" if verdict.get("accepted") else "refused"}
    for gate, passed in gate_outcomes(verdict.get("rows", [])).items():
        tags[f"gate.{gate}"] = "passed" if passed else "refused"
    compared = verdict.get("champion_version")
    tags["champion_compared"] = "none" if compared is None else str(compared)
    tags.update(
        {
            name.removeprefix("flightdeck."): value
            for name, value in run_tags.items()
            if name.startswith("flightdeck.")
        }
    )
    return tags


def gate_outcomes(rows: Sequence[Mapping[str, Any]]) -> dict[str, bool]:
    """Per gate, whether all its rows passed."""
    outcomes: dict[str, bool] = {}
    for row in rows:
        outcomes[row["gate"]] = outcomes.get(row["gate"], True) and bool(row["passed"])
    return outcomes


def _headline(verdict: Mapping[str, Any], tags: Mapping[str, str]) -> str:
    rows = verdict.get("rows", [])
    compared = verdict.get("champion_version")
    against = (
        "No champion existed: the bootstrap rule applied."
        if compared is None
        else f"Compared with champion version {compared}."
    )
    trigger = tags.get("flightdeck.trigger", "unknown")
    outcome = "Accepted" if verdict.get("accepted") else "Refused"
    judged = [row for row in rows if not _unjudged(row)]
    passed = sum(bool(row["passed"]) for row in judged)
    return (
        f"## {outcome}\n\n{passed} of {len(judged)} checks passed in {len(gate_outcomes(rows))}"
        f" gates, {len(rows) - len(judged)} were not judged (slice too small). {against} Data"
        f" interval: {tags.get('flightdeck.interval_start', '?')} to"
        f" {tags.get('flightdeck.interval_end', '?')}; started by: {trigger}."
    )


def _gates(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        "| gate | metric | split | slice | threshold | observed | | reason |",
        "|---|---|---|---|---|---|---|---|",
    ]
    ordered = sorted(rows, key=lambda row: (bool(row["passed"]), bool(row["slice"])))
    for row in ordered[:MAX_GATE_ROWS]:
        outcome = "not judged" if _unjudged(row) else "passed" if row["passed"] else "**refused**"
        cells = [
            row["gate"],
            row["metric"],
            row["split"],
            row["slice"] or "all",
            row["threshold"],
            row["observed"],
            outcome,
            row["reason"],
        ]
        lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    if len(ordered) > MAX_GATE_ROWS:
        lines.append(
            f"\n{len(ordered) - MAX_GATE_ROWS} more passed rows are in the run's artefact"
            " gates.json."
        )
    return "### Gates\n\n" + "\n".join(lines)


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
        + " | ".join(_cell(metrics.get(f"{split}.{name}")) for split in splits)
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
    from include.quality.summaries import HEADINGS, rows_of

    lines = ["| " + " | ".join(HEADINGS) + " |", "|---" * len(HEADINGS) + "|"]
    lines.extend(
        "| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows_of(summary, "train")
    )
    return "### Training data (train split; all splits: data_summary.json)\n\n" + "\n".join(lines)


def _unjudged(row: Mapping[str, Any]) -> bool:
    """A slice below its minimum of rows: it has a threshold but nothing was observed, and it does
    not refuse.
    """
    return bool(row["passed"]) and row["threshold"] is not None and row["observed"] is None


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.5g}"
    return str(value).replace("|", "\\|").replace("\n", " ")
