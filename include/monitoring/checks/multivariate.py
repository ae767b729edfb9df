"""Multivariate: do the inputs together still look as in training, where none does alone?"""

from __future__ import annotations

from include.monitoring.checks.base import SCORE, Window, not_judged, too_few
from include.stats.domain import separate
from include.stats.two_samples import Sample
from include.verdict import Finding

MULTIVARIATE = "multivariate"
LEAST_AUC = 0.53
"""What a domain classifier must reach to count, however sure it is."""


def multivariate(window: Window) -> list[Finding]:
    """One finding: the AUC of a domain classifier on rows that it was not fitted on."""
    few = too_few(window, MULTIVARIATE)
    if few is not None:
        return [few]
    separation = separate(
        inputs_of(window.serving.sample), inputs_of(window.reference.sample), seed=window.seed
    )
    if separation is None:
        why = "too few blocks of rows that share a cause for a decision"
        return [not_judged("minimum_blocks", MULTIVARIATE, why)]
    level = window.limits.false_discovery / 2.0
    return [
        Finding(
            rule="domain_auc",
            subject=MULTIVARIATE,
            observed=separation.auc,
            limit=LEAST_AUC,
            passed=separation.p > level or separation.auc < LEAST_AUC,
            reason=(
                f"A classifier tells served rows from training rows with an AUC of"
                f" {separation.auc:.3f} (0.5 without a change), p {separation.p:.2g}."
            ),
            example={"p": separation.p},
        )
    ]


def inputs_of(sample: Sample) -> Sample:
    """The sample without the score, which follows from the inputs."""
    columns = {name: values for name, values in sample.columns.items() if name != SCORE}
    return Sample(columns, sample.categories, sample.blocks)
