"""Decay of several classes and of a regression: beyond limit and noise, on enough rows, told in a
sentence; the predicted class drifts.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from include.errors import RegistryError
from include.model.reference import bin_shares, class_reference
from include.monitoring import alarm, performance
from include.monitoring.drift import _predicted_class
from include.problems.registry import strategy_of
from include.spec import Monitoring
from include.stats.psi import psi
from tests.unit.problems.problem_cases import CLASSES, use_case

LIMITS = Monitoring(minimum_rows=500)
RANDOM = np.random.default_rng(11)
ROWS = 4000


def delays(noise: float, shift: float = 0.0, rows: int = ROWS) -> pl.DataFrame:
    scores = RANDOM.normal(20.0, 10.0, rows)
    labels = scores + RANDOM.normal(shift, noise, rows)
    return pl.DataFrame({"label": labels, "score": scores, "asked_at": days(rows)})


def days(rows: int) -> list[datetime]:
    """Forty rows a day."""
    return [datetime(2013, 1, 1, tzinfo=UTC) + timedelta(days=row // 40) for row in range(rows)]


def outcomes(right: float, probability: float = 0.8) -> pl.DataFrame:
    labels = RANDOM.integers(0, 3, ROWS)
    predicted = np.where(RANDOM.random(ROWS) < right, labels, (labels + 1) % 3)
    return pl.DataFrame(
        {
            "label": labels,
            "score": np.full(ROWS, probability),
            "predicted_class": np.array(CLASSES)[predicted],
            "asked_at": days(ROWS),
        }
    )


BEFORE = {"regression": delays(5.0), "multiclass": outcomes(0.8)}


def judged(problem, frame):
    case = use_case(problem)
    reference = strategy_of(case).table_summary(BEFORE[problem])
    return performance.judge(performance.measure(frame, case), reference, LIMITS, problem)


@pytest.mark.parametrize(
    ("problem", "frame", "found"),
    [
        ("regression", delays(5.0), []),
        ("regression", delays(7.0), ["loss_increase"]),
        ("regression", delays(5.0, shift=4.0), ["loss_increase", "bias"]),
        ("regression", delays(9.0, rows=400), []),
        ("multiclass", outcomes(0.8), []),
        ("multiclass", outcomes(0.7), ["accuracy_drop", "calibration_gap"]),
        ("multiclass", outcomes(0.8, probability=0.95), ["calibration_gap"]),
    ],
)
def test_findings(problem, frame, found):
    result = judged(problem, frame)
    assert [finding.rule for finding in result["findings"] if not finding.passed] == found
    assert result["judged"] is (frame.height >= 500)
    assert len([finding for finding in result["findings"] if finding.noise is not None]) == 2


def test_a_finding_raises_the_alarm_with_a_sentence():
    decision = alarm.policy(LIMITS, judged("regression", delays(8.0))["findings"])
    assert decision["alarm"] is True
    assert decision["reasons"][0].startswith("The mean loss is")
    assert "limit 0.250" in decision["reasons"][0]


@pytest.mark.parametrize("problem", ["regression", "multiclass"])
def test_a_baseline_that_lacks_a_metric_is_refused(problem):
    known = strategy_of(use_case(problem)).table_summary(BEFORE[problem])
    model = SimpleNamespace(metadata=SimpleNamespace(problem=problem, metrics=known, run_id="r"))
    assert performance.baseline(model).keys() <= known.keys()
    del known["n"]
    with pytest.raises(RegistryError, match=r"lacks the test metrics \['n'\]"):
        performance.baseline(model)


def test_the_predicted_class_is_far_when_the_mix_is_and_a_reference_without_it_is_refused():
    scores = np.eye(3)[RANDOM.integers(0, 3, ROWS)]
    metadata = SimpleNamespace(classes=CLASSES, run_id="r")
    model = SimpleNamespace(
        metadata=metadata,
        reference={"rows": ROWS, "predicted_class": class_reference(CLASSES, scores)},
    )
    mixed = pl.DataFrame({"predicted_class": RANDOM.choice(CLASSES, ROWS)})
    late = pl.DataFrame({"predicted_class": ["late"] * ROWS})
    distances = []
    for frame in (mixed, late):
        entry, codes = _predicted_class(model, frame)
        distances.append(psi(entry["shares"], bin_shares(entry, codes)))
    assert distances[0] < 0.1 < 1.0 < distances[1]
    with pytest.raises(RegistryError, match="predicted_class"):
        _predicted_class(SimpleNamespace(metadata=metadata, reference={"rows": ROWS}), late)
