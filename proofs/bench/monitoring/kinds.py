"""Whether the kind of a planted change is named rightly, how soon a worse model alarms, and how
often the checks on labels cry wolf.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from include.monitoring.checks.attribution import attribution
from include.monitoring.checks.base import Window
from include.monitoring.checks.effectiveness import effectiveness
from include.monitoring.checks.estimate import estimate
from include.monitoring.checks.fairness import fairness
from include.monitoring.checks.kind_of_change import kind_of_change
from include.monitoring.checks.multivariate import multivariate
from include.monitoring.checks.novelty import novelty
from include.spec import Monitoring
from proofs.bench.monitoring.labelled import CHANGES, STEADY, draw, explained, steady_auc

ROWS, REFERENCE_ROWS = 4_000, 8_000
LIMITS = Monitoring(minimum_rows=1_000)
JUDGES = (multivariate, novelty, attribution, fairness, effectiveness, estimate, kind_of_change)
BASELINE_ROWS = 50_000


@dataclass(frozen=True)
class Named:
    """How often each kind was named for a planted change, and each check refused."""

    kinds: Mapping[str, int]
    refused: Mapping[str, int]
    windows: int


def name_kinds(change: str, windows: int, seed: int) -> Named:
    """So many windows of one planted change, each with a reference of its own."""
    random = np.random.default_rng([seed, len(change), ord(change[0])])
    _, world = CHANGES[change]
    baseline = {"auc": steady_auc(random, BASELINE_ROWS)}
    kinds: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    for number in range(windows):
        serving, reference = draw(world, ROWS, random), draw(STEADY, REFERENCE_ROWS, random)
        window = Window(
            serving,
            reference,
            LIMITS,
            attributed=(explained(serving), explained(reference)),
            baseline=baseline,
            seed=number,
        )
        findings = [finding for check in JUDGES for finding in check(window)]
        kinds.update(str(item.observed) for item in findings if item.rule == "kind")
        refused.update({item.subject for item in findings if not item.passed})
    return Named(dict(kinds), dict(refused), windows)
