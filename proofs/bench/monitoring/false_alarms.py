"""False alarms on undrifted windows of twenty inputs: the shipped checks beside Evidently's
defaults, on the same windows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from include.monitoring.checks.base import Window
from include.monitoring.checks.distribution import distribution
from include.monitoring.checks.registry import CHECKS
from include.monitoring.checks.schema_skew import schema_skew
from include.spec import Monitoring
from proofs.bench.monitoring.others import evidently
from proofs.bench.monitoring.world import sample, side

LIMITS = Monitoring(minimum_rows=200)
DRIFT_CHECKS = (schema_skew, distribution)


@dataclass(frozen=True)
class Setting:
    """So many windows of so many rows, beside a reference of the same size, and in how many of them
    Evidently is asked too.
    """

    rows: int
    blocks: bool
    windows: int
    of_evidently: int

    @property
    def name(self) -> str:
        """`1,000 rows, in blocks`."""
        return f"{self.rows:,} rows, {'in blocks' if self.blocks else 'independent'}"


@dataclass(frozen=True)
class Counted:
    """Alarms of each window: columns that refuse; whether anything of a check refused."""

    ours: list[int]
    evidently: list[int]
    by_check: dict[str, int]


def count_alarms(setting: Setting, seed: int, windows: int, of_evidently: int) -> Counted:
    """Alarms on fresh windows, each with a reference of its own."""
    random = np.random.default_rng([seed, setting.rows, int(setting.blocks)])
    ours: list[int] = []
    others: list[int] = []
    by_check = dict.fromkeys(CHECKS, 0)
    for number in range(windows):
        serving, reference = (sample(setting.rows, random, blocks=setting.blocks) for _ in range(2))
        window = Window(side(serving), side(reference), LIMITS, seed=number)
        findings = [finding for check in DRIFT_CHECKS for finding in check(window)]
        refused = [item for item in findings if not item.passed and item.part]
        ours.append(len(refused))
        for subject in {item.subject for item in refused}:
            by_check[subject] += 1
        if number < of_evidently:
            others.append(
                sum(evidently(serving, reference, name).drifted for name in reference.columns)
            )
    return Counted(ours, others, by_check)
