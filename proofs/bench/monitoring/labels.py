"""False alarms of the alarm on performance where rows share a cause: windows that a right model
scored, whose blocks differ by an effect that it cannot see, as days do by their weather.

The scores are the mean over that effect, so they are right of all blocks together and of none by
itself. Counted are the shipped decision, and what it would be if rows were independent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from include.monitoring.performance import judge
from include.spec import Monitoring
from include.stats.clustered import block_errors
from include.stats.metrics import summary

EFFECT = 0.7
"""Standard deviation of a block's effect on the log odds."""
INTERCEPT, SLOPE = -1.5, 1.0
QUADRATURE, GRID = 15, 100
TEST_BLOCKS = 20
"""Blocks of the test split that the package records."""
MINIMUM_ROWS = 500
BARE = ("n", "observed_rate", "mean_score", "auc")
ANY_CHANGE = Monitoring(minimum_rows=MINIMUM_ROWS, max_auc_drop=0.0, max_calibration_gap=0.0)
"""No limit beside chance itself."""
DEFAULTS = Monitoring(minimum_rows=MINIMUM_ROWS)


@dataclass(frozen=True)
class LabelledSetting:
    """Windows of so many blocks of so many rows, whose effects are `effect` wide."""

    blocks: int
    rows: int
    effect: float = EFFECT

    @property
    def name(self) -> str:
        """`30 blocks of 40 rows`."""
        alike = "" if self.effect else " that do not differ"
        many = f"{self.blocks} blocks" if self.blocks > 1 else "one block"
        return f"{many} of {self.rows:,} rows{alike}"


@dataclass(frozen=True)
class Alarms:
    """Windows, and in how many of them each decision refused."""

    windows: int
    refused: Mapping[str, int]


LABELLED = (
    LabelledSetting(30, 40),
    LabelledSetting(30, 400),
    LabelledSetting(30, 40, effect=0.0),
    LabelledSetting(90, 20),
    LabelledSetting(7, 150),
    LabelledSetting(1, 1_000),
)
"""A month of days, thin and full; days that do not differ; a quarter; a week; a single day."""


def count_false_alarms(setting: LabelledSetting, windows: int, seed: int) -> Alarms:
    """Alarms on fresh windows, each beside a test split of its own."""
    random = np.random.default_rng([seed, setting.blocks, setting.rows])
    refused = dict.fromkeys(("blocks", "blocks, default limits", "independent rows"), 0)
    for _ in range(windows):
        metrics = _metrics(setting.blocks, setting, random)
        reference = _metrics(TEST_BLOCKS, setting, random)
        bare = [{name: side[name] for name in BARE} for side in (metrics, reference)]
        refused["blocks"] += _refuses(metrics, reference, ANY_CHANGE)
        refused["blocks, default limits"] += _refuses(metrics, reference, DEFAULTS)
        refused["independent rows"] += _refuses(bare[0], bare[1], ANY_CHANGE)
    return Alarms(windows, refused)


def draw_labels(
    blocks: int, setting: LabelledSetting, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, scores and the block of each row, shape (rows,)."""
    member = np.repeat(np.arange(blocks), setting.rows)
    logit = INTERCEPT + SLOPE * random.normal(size=len(member))
    effects = setting.effect * random.normal(size=blocks)
    labels = (random.random(len(member)) < _chance(logit + effects[member])).astype(np.float64)
    # The mean over a normal effect, by Gauss and Hermite.
    nodes, weights = np.polynomial.hermite_e.hermegauss(QUADRATURE)
    grid = np.linspace(logit.min(), logit.max(), GRID)
    means = _chance(grid[:, None] + setting.effect * nodes) @ (weights / weights.sum())
    return labels, np.interp(logit, grid, means), member


def _metrics(
    blocks: int, setting: LabelledSetting, random: np.random.Generator
) -> dict[str, float]:
    labels, scores, member = draw_labels(blocks, setting, random)
    errors = block_errors({"gap": scores - labels}, member, (labels, scores))
    return {**summary(labels, scores), **errors}


def _refuses(
    metrics: Mapping[str, float], reference: Mapping[str, float], limits: Monitoring
) -> bool:
    return any(not item.passed for item in judge(metrics, reference, limits)["findings"])


def _chance(logit: np.ndarray) -> np.ndarray:
    return np.asarray(1.0 / (1.0 + np.exp(-logit)))
