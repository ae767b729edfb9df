"""Limits proposed from a use case's own history: of its deliveries by a dry run, of its gates by a
trial training, of monitoring by a back-test.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from cli.authoring.paste import pasted
from cli.authoring.trial import try_training
from cli.runs.verdict import print_folded
from cli.tables import print_table
from include.interval import Interval
from include.monitoring.history import LEAST_INTERVALS
from include.quality.history import History, Proposal, rounded_up
from include.quality.landing import land, read_landed
from include.settings import Settings
from include.spec import UseCase
from include.tables.store import TableStore
from include.verdict import Verdict

Say = Callable[[str], None]
HEADINGS = ("where", "limit", "declared", "proposed", "refuses", "figure")
METRICS = {"calibration_error": "ece"}
"""What thresholds call otherwise than the metric that they bound."""
MOST_LINES = 40
"""Of progress: a history of hours is no news for each."""
FILE_WIDTH = 80
"""Of the tables in a file: a figure beside five short columns reads badly on one long line."""
TRIAL_PASSES = "The trial passes every gate."
MARGIN = 1.1
"""Of a metric without an interval: so much more error than the trial's."""


def examine(
    use_case: UseCase, settings: Settings, intervals: Sequence[Interval], say: Say
) -> History:
    """Read and measure every interval; nothing is published."""
    history = History(use_case, settings.sample_share)
    settings.home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="check-", dir=settings.home) as folder:
        tables = TableStore(folder)
        for number, interval in enumerate(intervals):
            if number % -(-len(intervals) // MOST_LINES) == 0:
                say(f"  {interval.text}")
            land(tables, use_case, interval, settings)
            frames = {
                table.name: read_landed(tables, table, interval, None) for table in use_case.tables
            }
            history.add(interval, frames)
    return history


def print_deliveries(history: History) -> list[Proposal]:
    """Print the limits that the history asks for, and return them."""
    proposals = history.proposals()
    _print_proposals(
        f"Limits on deliveries, by {history.intervals} intervals",
        proposals,
        "every interval is within what is declared",
    )
    return proposals


def print_trial(
    use_case: UseCase, settings: Settings, history: Interval, trials: int, say: Say
) -> list[Proposal]:
    """Train once in a home of its own, measure monitoring over the history, and print the gates
    that the model would just pass and the limits that no usual interval breaks; all of them.
    """
    days = use_case.training.window_days
    say(f"a trial training on the {days:g} days before {history.end:%Y-%m-%d}")
    settings.home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="trial-", dir=settings.home) as folder:
        answer = try_training(use_case, settings, history, trials, Path(folder), say)
    gates = gate_proposals(use_case, answer)
    if answer["metrics"]:
        _print_proposals("Gates, by the trial's test split", gates, "none")
    refused = ", ".join(answer["refused"])
    print_folded("", f"The trial is refused by {refused}:" if refused else TRIAL_PASSES)
    for number, reason in enumerate(answer["reasons"], 1):
        print_folded(f"{number:3d}. ", reason)
    return [*gates, *_print_monitoring(use_case, answer)]


def print_pasted(use_case: UseCase, proposals: Sequence[Proposal]) -> None:
    """Print the lines for the specification; nothing where there is none."""
    lines = list(pasted(use_case, [item for item in proposals if not item.holds]))
    if lines:
        print(f"\nTo paste into include/use_cases/{use_case.name}/spec.py:\n")
    for line in lines:
        print(f"    {line}")


def _print_monitoring(use_case: UseCase, answer: Mapping[str, Any]) -> list[Proposal]:
    proposals = [Proposal(**item) for item in answer["monitoring"]]
    count, days = answer["measured"], use_case.training.window_days
    _print_proposals(
        f"Monitoring, by {count} intervals after a training each",
        proposals,
        f"at least {LEAST_INTERVALS} intervals with {days:g} days of history before them are"
        " needed",
        breaks="alarms",
    )
    for interval, why in answer["left_out"].items():
        print_folded("  left out  ", f"{interval}: {why}")
    return proposals


def gate_proposals(use_case: UseCase, answer: Mapping[str, Any]) -> list[Proposal]:
    """For each absolute threshold of the problem, what a model like the trial's passes in 39 of 40
    test splits, the worse end of the metric's 95 % interval; and what its deficit to the simple
    model asks for.

    A declared limit that the trial passes, and that is about as far from the metric as that end,
    holds: it is proposed as it is.
    """
    metrics, rows = answer["metrics"], answer["rows"].get("test", 0)
    findings = Verdict.model_validate({"findings": answer["findings"]}).refused
    refused = {finding.metric for finding in findings if not finding.part}
    proposals = []
    for field, declared in use_case.problem.thresholds.items():
        kind, _, rest = field.partition("_")
        metric = METRICS.get(rest, rest)
        value = metrics.get(f"test.{metric}")
        if value is None:
            continue
        low, high = (metrics.get(f"test.{metric}.{end}") for end in ("low", "high"))
        spread = "" if low is None else f", 95 % from {low:.4g} to {high:.4g}"
        proposed = (
            _down(_worst_below(value, low))
            if kind == "min"
            else rounded_up(_worst_above(value, low, high))
        )
        breaks = int(metric in refused)
        if not breaks and _holds(kind, declared, proposed, abs(value) if kind == "max" else value):
            proposed = declared
        proposals.append(
            Proposal(
                "problem",
                field,
                f"{declared:g}",
                f"{proposed:g}",
                f"{metric} {value:.4g} on {rows:,} test rows{spread}",
                breaks,
            )
        )
    return [*proposals, *_deficit_proposal(use_case, metrics, rows, refused)]


def _worst_below(value: float, low: float | None) -> float:
    if low is not None:
        return low
    return value / MARGIN if value > 0 else abs(value) * MARGIN


def _worst_above(value: float, low: float | None, high: float | None) -> float:
    """Of a metric that is bounded from above, as far from 0 as it may be: a bias has two sides."""
    if low is None or high is None:
        return abs(value) * MARGIN
    return max(abs(low), abs(high))


def _holds(kind: str, declared: float, proposed: float, value: float) -> bool:
    """Whether the declared limit lies between half as far from the metric as the proposed one and
    twice as far: two trainings on the same data propose that much apart.
    """
    slack = proposed - declared if kind == "min" else declared - proposed
    distance = abs(value - proposed)
    return -distance / 2 <= slack <= distance


def _deficit_proposal(
    use_case: UseCase, metrics: Mapping[str, float], rows: int, refused: Collection[str]
) -> list[Proposal]:
    """Nothing where the trial measured none: it broke before."""
    deficit, low, high = (
        metrics.get(f"test.baseline.simple.deficit{end}") for end in ("", ".low", ".high")
    )
    if deficit is None:
        return []
    declared = use_case.gates.max_simple_model_deficit
    breaks = int("deficit_to_simple" in refused)
    spread = "" if low is None else f", 95 % from {low:.4g} to {high:.4g}"
    return [
        Proposal(
            "gates",
            "max_simple_model_deficit",
            f"{declared:g}",
            f"{rounded_up(deficit) if breaks else declared:g}",
            f"{deficit:.4g} above the simple model's loss on {rows:,} test rows{spread}",
            breaks,
        )
    ]


def _print_proposals(
    title: str, proposals: Sequence[Proposal], nothing: str, breaks: str = "refuses"
) -> None:
    rows = [
        (
            item.where,
            item.field,
            item.declared,
            None if item.holds else item.proposed,
            str(item.breaks) if item.breaks else None,
            item.figure,
        )
        for item in proposals
    ]
    headings = [breaks if name == "refuses" else name for name in HEADINGS]
    print_table(title, headings, rows, nothing=nothing, prose=("figure",), file_width=FILE_WIDTH)


def _down(value: float) -> float:
    """Rounded down to two digits behind the point."""
    return math.floor(value * 100) / 100
