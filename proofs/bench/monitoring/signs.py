"""Whether the side to which an estimate errs is said rightly of planted changes of the relation."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from include.monitoring.checks.base import Window
from include.monitoring.checks.estimate import estimate
from include.monitoring.checks.kind_of_change import TOO_MUCH
from proofs.bench.monitoring.kinds import LIMITS, REFERENCE_ROWS, ROWS
from proofs.bench.monitoring.labelled import CHANGES, STEADY, draw
from proofs.bench.monitoring.real_year import kind_and_promise

CONCEPT = tuple(name for name, (kind, _) in CHANGES.items() if kind == "concept")


def promised_wrongly(windows: int, seed: int) -> Mapping[str, int]:
    """Of so many windows of each change of the relation, how many were said to be promised to the
    other side than they were, or to none.
    """
    random = np.random.default_rng([seed, windows])
    wrong = dict.fromkeys(CONCEPT, 0)
    for name in CONCEPT:
        for number in range(windows):
            serving, reference = (
                draw(CHANGES[name][1], ROWS, random),
                draw(STEADY, REFERENCE_ROWS, random),
            )
            window = Window(serving, reference, LIMITS, seed=number)
            error = next(
                float(str(item.observed))
                for item in estimate(window)
                if item.rule == "error_of_estimate"
            )
            _, promises = kind_and_promise(window)
            wrong[name] += not promises or (promises == TOO_MUCH) != (error > 0.0)
    return wrong
