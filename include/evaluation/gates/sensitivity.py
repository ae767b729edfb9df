"""The gates on answers to changed inputs, on real test rows, through the model's own matrix.

A model that is good on average can still answer wildly to noise, hang on one value that may be
missing, or have learned that storms help. All gates look at `SAMPLE_ROWS` test rows, evenly spread;
a change is measured on the probability (the mean over several classes), of a regression on the
value in standard deviations of the test labels.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from include.evaluation.gates.base import TEST, GateInput
from include.features.transform import FeatureTransform
from include.model.package import ScoringModel
from include.spec.expectations import Direction
from include.verdict import Finding, at_most

SAMPLE_ROWS = 4000


def perturbation(candidate: GateInput) -> list[Finding]:
    """Noise on all continuous inputs changes scores by at most `max_perturbation_mean` (mean) and
    `max_perturbation_p99` (99 % quantile).

    Every known value moves up or down, at random, by `perturbation` of the input's span from lowest
    to highest decile of the training data (where that is one point, of the test rows' standard
    deviation). Hours, weekdays and categories have no small change and stay; a whole number moves
    by whole ones (a count of three is never 3.02), and stays where the nearest is none.
    """
    limits = candidate.limits
    bounds = {
        "mean_change": limits.max_perturbation_mean,
        "p99_change": limits.max_perturbation_p99,
    }
    model, matrix, missing = _sampled(candidate)
    if model is None:
        return [
            Finding(
                rule="perturbation",
                metric=metric,
                subject=TEST,
                limit=limit,
                passed=False,
                reason=missing,
            )
            for metric, limit in bounds.items()
        ]
    steps = limits.perturbation * spans(model, matrix)
    steps = np.where(whole_numbers(matrix), np.rint(steps), steps)
    signs = np.random.default_rng(candidate.use_case.training.seed).choice(
        np.array([-1.0, 1.0]), size=matrix.shape
    )
    changes = _changes(candidate, model, matrix, (matrix + signs * steps).astype(np.float32))
    measured = {
        "mean_change": float(changes.mean()),
        "p99_change": float(np.quantile(changes, 0.99)),
    }
    return [
        at_most("perturbation", metric, limit, measured[metric], subject=TEST)
        for metric, limit in bounds.items()
    ]


def missing_values(candidate: GateInput) -> list[Finding]:
    """Any one input missing in every row changes the scores by at most `max_missing_change` in the
    mean.
    """
    limit = candidate.limits.max_missing_change
    model, matrix, missing = _sampled(candidate)
    if model is None:
        return [
            Finding(
                rule="missing_values",
                metric="mean_change",
                subject=TEST,
                limit=limit,
                passed=False,
                reason=missing,
            )
        ]
    rows = []
    for position, name in enumerate(model.transform.feature_names):
        emptied = matrix.copy()
        emptied[:, position] = np.nan
        rows.append(
            at_most(
                "missing_values",
                "mean_change",
                limit,
                float(_changes(candidate, model, matrix, emptied).mean()),
                subject=TEST,
                part=name,
            )
        )
    return rows


def invariance(candidate: GateInput) -> list[Finding]:
    """Declared inputs, exchanged between rows, change the scores by at most the declared mean."""
    rows = []
    for declared in candidate.limits.invariances:
        label = "+".join(declared.inputs)
        model, matrix, missing = _sampled(candidate)
        if model is None or (missing := _absent(model.transform, declared.inputs)):
            rows.append(
                Finding(
                    rule="invariance",
                    metric="mean_change",
                    subject=TEST,
                    part=label,
                    limit=declared.max_change,
                    passed=False,
                    reason=missing,
                )
            )
            continue
        positions = [model.transform.feature_names.index(name) for name in declared.inputs]
        order = np.random.default_rng(candidate.use_case.training.seed).permutation(len(matrix))
        exchanged = matrix.copy()
        exchanged[:, positions] = matrix[order][:, positions]
        moved = float(_changes(candidate, model, matrix, exchanged).mean())
        rows.append(
            at_most(
                "invariance", "mean_change", declared.max_change, moved, subject=TEST, part=label
            )
        )
    return rows


def direction(candidate: GateInput) -> list[Finding]:
    """More of the declared inputs moves the mean score the expected way: it misses by at most the
    declared tolerance.
    """
    return [_direction(candidate, declared) for declared in candidate.limits.directions]


SENSITIVITY_GATES = (perturbation, missing_values, invariance, direction)


def spans(model: ScoringModel, matrix: np.ndarray) -> np.ndarray:
    """Per input, the training data's span from lowest to highest decile, float64 of shape
    (inputs,); 0 for what is not continuous.
    """
    measured = np.zeros(matrix.shape[1])
    for position, item in enumerate(model.transform.inputs):
        if item.kind not in {"number", "hours_between"}:
            continue
        edges = model.reference["inputs"][item.name]["edges"]
        span = float(edges[-1] - edges[0]) if edges else 0.0
        present = matrix[~np.isnan(matrix[:, position]), position].astype(np.float64)
        # The decile edges of a point mass (no rain in nine hours of ten) are neighbouring floats.
        point = span <= 1e-6 * max(1.0, abs(float(edges[0])) if edges else 1.0)
        measured[position] = (float(present.std()) if present.size else 0.0) if point else span
    return measured


def whole_numbers(matrix: np.ndarray) -> np.ndarray:
    """Per input, whether every value that is there is a whole number, bool of shape (inputs,)."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.all(np.isnan(matrix) | (matrix == np.rint(matrix)), axis=0))


def _direction(candidate: GateInput, declared: Direction) -> Finding:
    metric = "mean_fall" if declared.expect == "not_lower" else "mean_rise"
    label = f"{declared.input}{declared.change:+g}"
    model, matrix, missing = _sampled(candidate)
    if model is None or (missing := _absent(model.transform, (declared.input,))):
        return Finding(
            rule="direction",
            metric=metric,
            subject=TEST,
            part=label,
            limit=declared.tolerance,
            passed=False,
            reason=missing,
        )
    position = model.transform.feature_names.index(declared.input)
    lowest, highest = (
        bound if bound is not None else end
        for bound, end in ((declared.minimum, -np.inf), (declared.maximum, np.inf))
    )
    moved = matrix.copy()
    moved[:, position] = np.clip(matrix[:, position] + declared.change, lowest, highest)
    changed = ~np.isnan(matrix[:, position]) & (moved[:, position] != matrix[:, position])
    if not changed.any():
        return Finding(
            rule="direction",
            metric=metric,
            subject=TEST,
            part=label,
            limit=declared.tolerance,
            passed=False,
            reason="the change changes no test row",
        )
    problem = candidate.problem_strategy
    before, after = (problem.watched(model.score_matrix(rows[changed])) for rows in (matrix, moved))
    rise = float((after - before).mean()) / problem.label_spread(candidate.labels)
    miss = -rise if declared.expect == "not_lower" else rise
    passed = miss <= declared.tolerance
    reason = (
        f"{'as expected' if passed else 'against the expectation'}: the mean score moves by"
        f" {rise:+.4f} over {int(changed.sum())} rows"
    )
    return Finding(
        rule="direction",
        metric=metric,
        subject=TEST,
        part=label,
        limit=declared.tolerance,
        observed=miss,
        passed=passed,
        reason=reason,
    )


def _sampled(candidate: GateInput) -> tuple[ScoringModel | None, np.ndarray, str]:
    """The model and its matrix of the sampled test rows, or why there is none."""
    if candidate.model is None or candidate.test is None or candidate.test.height == 0:
        return None, np.empty((0, 0)), candidate.problem or "the candidate cannot be scored"
    chosen = np.unique(
        np.linspace(0, candidate.test.height - 1, min(SAMPLE_ROWS, candidate.test.height))
        .round()
        .astype(int)
    )
    return (
        candidate.model,
        candidate.model.transform.apply_frame(candidate.test[chosen.tolist()]),
        "",
    )


def _absent(transform: FeatureTransform, names: Iterable[str]) -> str:
    absent = [name for name in names if name not in transform.feature_names]
    return f"{absent} are no inputs of the model" if absent else ""


def _changes(
    candidate: GateInput, model: ScoringModel, before: np.ndarray, after: np.ndarray
) -> np.ndarray:
    problem = candidate.problem_strategy
    return problem.changes(
        model.score_matrix(before), model.score_matrix(after)
    ) / problem.label_spread(candidate.labels)
