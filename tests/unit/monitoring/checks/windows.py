"""Windows that the tests of checks share: three inputs with a label and a model that is right."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from include.monitoring.checks.base import Side, Window
from include.spec import Monitoring
from include.stats.two_samples import Sample
from proofs.bench.monitoring.labelled import STEADY, World, draw, explained

LIMITS = Monitoring(minimum_rows=500)
BASELINE = {"auc": 0.81}
ROWS, REFERENCE_ROWS = 3_000, 5_000


def window(world: World = STEADY, *, seed: int = 3, **more: Any) -> Window:
    """A window of the world beside a reference of the steady one."""
    random = np.random.default_rng(seed)
    serving, reference = draw(world, ROWS, random), draw(STEADY, REFERENCE_ROWS, random)
    explanations = (explained(serving), explained(reference))
    return Window(serving, reference, LIMITS, attributed=explanations, baseline=BASELINE, **more)


def with_column(side: Side, name: str, values: np.ndarray) -> Side:
    """The side with one column changed or added."""
    sample = side.sample
    return replace(
        side, sample=Sample({**sample.columns, name: values}, sample.categories, sample.blocks)
    )


def refused(findings: list[Any]) -> list[tuple[str, str]]:
    """Rule and part of each finding that refuses."""
    return [(item.rule, item.part) for item in findings if not item.passed]
