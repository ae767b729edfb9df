"""Which kind of change: the inputs' (covariate), the relation's (concept), or that of the classes'
shares alone (prior). It says what a training may cure; a relation that changed refuses.
"""

from __future__ import annotations

import numpy as np

from include.monitoring.checks.base import Side, Window, not_judged
from include.monitoring.checks.effectiveness import blocks_of
from include.monitoring.checks.multivariate import inputs_of
from include.stats.domain import separate
from include.stats.shift import Kind, Labelled, Split, Step, name_kind, relation_step, split_change
from include.verdict import Finding

KIND_OF_CHANGE = "kind_of_change"
LEAST_CHANGE = 0.02
"""In probability; the smallest change of the relation that refuses."""
TOO_MUCH, TOO_LITTLE = "too much", "too little"
ADVICE = {
    "none": "nothing has changed that these rows show",
    "covariate": "the inputs moved; the relation between inputs and label is what it was",
    "concept": "the relation between inputs and label changed: old rows teach the former one",
    "covariate and concept": "both the inputs and their relation to the label changed",
    "prior": "only the shares of the classes changed: a recalibration may do",
}


def kind_of_change(window: Window) -> list[Finding]:
    """The kind, what each cause adds to the loss, and whether the relation changed."""
    if window.score_kind != "probability" or not window.serving.labels.size:
        return []
    rows = [int(side.labelled.sum()) for side in (window.serving, window.reference)]
    if min(rows) < window.limits.minimum_rows:
        why = f"{min(rows)} labelled rows are fewer than {window.limits.minimum_rows}"
        return [not_judged("minimum_rows", KIND_OF_CHANGE, why, min(rows))]
    separation = separate(
        inputs_of(window.serving.sample), inputs_of(window.reference.sample), seed=window.seed
    )
    if separation is None:
        why = "too few blocks of rows that share a cause for a decision"
        return [not_judged("minimum_blocks", KIND_OF_CHANGE, why)]
    first = len(separation.taken[0])
    serving = _labelled(window.serving, separation.taken[0], separation.probability[:first])
    reference = _labelled(window.reference, separation.taken[1], separation.probability[first:])
    level = window.limits.false_discovery / 2.0
    kind = name_kind(serving, reference, domain_p=separation.p, level=level)
    split = split_change(serving, reference)
    return [
        Finding(
            rule="kind",
            subject=KIND_OF_CHANGE,
            observed=kind,
            passed=True,
            reason=f"The kind of change is {kind}: {ADVICE[kind]}.",
        ),
        _split(split, kind),
        _relation(relation_step(serving, reference), level / 2.0),
    ]


def _of_estimates(kind: Kind, split: Split) -> str:
    """To which side an estimate errs that knows the former relation alone; a changed relation costs
    what the inputs do not, or spares it.
    """
    if "concept" not in kind:
        return ""
    which = TOO_MUCH if split.concept.value > 0.0 else TOO_LITTLE
    return f"; an estimate without labels that knows the former relation alone promises {which}"


def _relation(step: Step, level: float) -> Finding:
    """Refuses where the relation changed by more than chance and by more than matters."""
    return Finding(
        rule="relation",
        subject=KIND_OF_CHANGE,
        observed=abs(step.value),
        limit=LEAST_CHANGE,
        passed=step.p > level or abs(step.value) <= LEAST_CHANGE,
        reason=(
            f"Where inputs are as in training, the labels lie {step.value:+.3f} (plus or minus"
            f" {step.error:.3f}) from what they were, in probability, p {step.p:.2g}."
        ),
        example={"p": step.p},
    )


def _labelled(side: Side, taken: np.ndarray, chance: np.ndarray) -> Labelled:
    labelled = side.labelled[taken]
    rows = taken[labelled]
    return Labelled(side.scores[rows], side.labels[rows], chance[labelled], blocks_of(side)[rows])


def _split(split: Split, kind: Kind) -> Finding:
    parts = {
        name: {"value": step.value, "standard_error": step.error}
        for name, step in (
            ("whole", split.whole),
            ("inputs", split.covariate),
            ("relation", split.concept),
        )
    }
    return Finding(
        rule="loss_split",
        subject=KIND_OF_CHANGE,
        observed=split.whole.value,
        passed=True,
        reason=(
            f"The Brier score changed by {split.whole.value:+.4f}: {split.covariate.value:+.4f}"
            f" (plus or minus {split.covariate.error:.4f}) by the inputs,"
            f" {split.concept.value:+.4f} (plus or minus {split.concept.error:.4f}) by the"
            f" relation{_of_estimates(kind, split)}."
        ),
        example=dict(parts),
    )
