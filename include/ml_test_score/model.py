"""Section III of the paper: tests for model development."""

from __future__ import annotations

from collections.abc import Sequence

from include.ml_test_score.records import Records, Row, is_passed
from include.ml_test_score.rubric import Judgement, RubricTest, full, half, nothing
from include.training.provenance import DIRTY, UNKNOWN

SLICE_GATES = (
    *("slice_brier", "slice_calibration", "slice_loss", "slice_accuracy"),
    *("champion_slices", "segments"),
)
RELEASES_TO_COMPARE = 3
"""Fewer releases say nothing about whether two measures agree."""
LEAST_COMPLETED = 2
"""A search of one trial has compared nothing."""
AGES = 3
"""Windows of different ages that make a curve."""


def specification_is_reviewed(records: Records) -> Judgement:
    """The commit that trained it is whole, and somebody else than its author saw it."""
    commit = records.training.commit
    if not commit or commit == UNKNOWN or commit.endswith(DIRTY):
        return nothing(f"it was trained from {commit or UNKNOWN}: what trained it is in no commit")
    checked_in = f"trained from commit {commit[:12]}, in which every file was as committed"
    if records.review is None:
        return half(
            "git does not have that commit here, so who reviewed it is not known", checked_in
        )
    if not records.review.reviewers:
        lacks = (
            "no trailer Reviewed-by, Approved-by or Acked-by and no merge by somebody else than its"
            " author says that it was reviewed"
        )
        return half(lacks, checked_in)
    return full(checked_in, f"seen by {', '.join(records.review.reviewers)}")


def offline_metrics_agree_with_online(records: Records) -> Judgement:
    """What a version promised over the one before on test rows, beside what it did in service."""
    pairs = [
        (window.before, window.metric.value)
        for version in sorted({window.version for window in records.windows})
        for window in [w for w in records.windows if w.version == version][:1]
        if window.before is not None and window.metric is not None
    ]
    if not pairs:
        return nothing("no version that was in service has a metric of labelled answers yet")
    shown = f"{len(pairs)} versions have both, the newest {pairs[-1][0]:.3g} and {pairs[-1][1]:.3g}"
    if len(pairs) < RELEASES_TO_COMPARE:
        return half(f"fewer than {RELEASES_TO_COMPARE} versions do not show a correlation", shown)
    order = _concordant(pairs)
    text = f"{shown}; {order:.0%} of their pairs are ordered alike"
    return full(text) if order > 0.5 else half("the two do not rank versions alike", text)


def hyperparameters_are_tuned(records: Records) -> Judgement:
    """A search over declared ranges, every trial on record."""
    trials, space = records.trials, records.use_case.training.search_space
    if len(trials) < LEAST_COMPLETED or not space:
        return nothing(f"{len(trials)} trial: nothing was compared (Training.search_space, trials)")
    searched = ", ".join(sorted(space))
    fixed = sorted(set(records.use_case.training.parameters) - set(space))
    shown = f"{len(trials)} trials over {searched}, judged on the validation split"
    return full(shown, f"not searched: {', '.join(fixed)}") if fixed else full(shown)


def staleness_is_known(records: Records) -> Judgement:
    """How a version does as its data grows old, by the windows that were measured with labels."""
    measured = [window for window in records.windows if window.metric is not None]
    ages: dict[int, list[float]] = {}
    for window in measured:
        if window.metric is not None:
            ages.setdefault(window.version, []).append(window.metric.value)
    version, values = max(ages.items(), key=lambda item: len(item[1]), default=(0, []))
    if not values:
        return nothing("no window of a version in service has labels: how it decays is not known")
    curve = ", ".join(f"{value:.3g}" for value in values)
    shown = f"version {version}, window by window: {curve}"
    if len(values) < AGES:
        return half(f"fewer than {AGES} windows of one version make no curve", shown)
    return full(shown)


def a_simpler_model_is_not_better(records: Records) -> Judgement:
    """The gate on baselines compared it with a simple model, and with one input alone."""
    return _of_gates(records.gate("baselines"), "baselines", "no simpler model was trained beside")


def quality_holds_on_slices(records: Records) -> Judgement:
    """The gates on slices judged, and how many slices had too few rows."""
    rows = records.gate(*SLICE_GATES)
    parts = {str(row["slice"]) for row in rows if row["slice"]}
    if not parts:
        return nothing("no slice was judged: none is declared (UseCase.slices), or all are small")
    if not is_passed(rows):
        return half("a slice was refused", f"{len(parts)} slices were judged")
    gates = ", ".join(sorted({str(row["gate"]) for row in rows}))
    return full(f"slices that passed: {len(parts)}, by the gates {gates}")


def inclusion_is_tested(records: Records) -> Judgement:
    """The gate on fairness compared groups."""
    lacks = "no groups are declared (Gates.fairness), so none were compared"
    return _of_gates(records.gate("fairness"), "fairness", lacks)


def _of_gates(rows: Sequence[Row], gate: str, lacks: str) -> Judgement:
    if not rows:
        return nothing(lacks)
    refused = [row for row in rows if not row["passed"]]
    shown = f"comparisons of the gate `{gate}`: {len(rows)}"
    if refused:
        return half(f"{len(refused)} of them were refused", shown)
    return full(f"{shown}, all passed")


def _concordant(pairs: Sequence[tuple[float, float]]) -> float:
    """The share of pairs of versions that both measures order alike (Kendall's concordance)."""
    judged = [
        (first[0] - second[0]) * (first[1] - second[1])
        for place, first in enumerate(pairs)
        for second in pairs[place + 1 :]
    ]
    return sum(product > 0 for product in judged) / len(judged)


MODEL_TESTS = (
    RubricTest(
        "model",
        1,
        "Every model specification undergoes a code review and is checked in to a repository",
        specification_is_reviewed,
    ),
    RubricTest(
        "model",
        2,
        "Offline proxy metrics correlate with actual online impact metrics",
        offline_metrics_agree_with_online,
    ),
    RubricTest("model", 3, "All hyperparameters have been tuned", hyperparameters_are_tuned),
    RubricTest("model", 4, "The impact of model staleness is known", staleness_is_known),
    RubricTest("model", 5, "A simpler model is not better", a_simpler_model_is_not_better),
    RubricTest(
        "model",
        6,
        "Model quality is sufficient on all important data slices",
        quality_holds_on_slices,
    ),
    RubricTest(
        "model",
        7,
        "The model has been tested for considerations of inclusion",
        inclusion_is_tested,
    ),
)
