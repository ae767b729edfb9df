"""Drift: how far the inputs and scores of an interval have moved from what the model was trained
on.

Measured is the population stability index (PSI) between the training split's shares per bin
(reference.json of the model package) and the interval's shares in the same bins:

    PSI = sum over bins of (a_i - e_i) * ln(a_i / e_i)

with e_i the expected (training) and a_i the actual share: the symmetrised Kullback-Leibler
divergence (Jeffreys, 1946; Siddiqi, "Credit Risk Scorecards", 2006, with its reading 0.1 = some,
0.25 = large shift). Shares below `FLOOR` count as `FLOOR`, or one row in an empty bin would be
infinite. Missing values have a bin of their own, which for categories holds the unseen ones too.

PSI is an effect size and does not shrink as rows grow, but few rows in many bins make it large by
chance. Under no drift it is about (1/n + 1/m) times a chi-square variable with bins - 1 degrees of
freedom (Yurdakul, "Statistical properties of the population stability index", 2018; n and m the
rows on both sides). Its 99.9 % quantile is `noise`. An input has drifted when its PSI is above the
declared limit *and* above the noise; nothing is judged below the declared minimum of rows. Rows
that share a cause (all flights of an hour share the weather) vary more than the quantile assumes;
for them the limit is what protects.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from include.errors import DataError, RegistryError
from include.features.transform import FeatureTransform
from include.model.reference import bin_shares
from include.spec import Monitoring

if TYPE_CHECKING:
    from include.model.package import ScoringModel

FLOOR = 1e-4
NOISE_Z = 3.0902
SHARES_TOLERANCE = 1e-6
MINIMUM_BINS = 2
SCORE = "score"
PREDICTED_CLASS = "predicted_class"


@dataclass(frozen=True)
class ColumnDrift:
    """One input, or the score. `unseen_share` is null unless the input is a category;
    `missing_share` includes unseen values.

    `blind`: all training values fell into one bin, so that a shift within that bin cannot be seen.
    """

    column: str
    kind: str
    psi: float
    limit: float
    noise: float
    drifted: bool
    rows: int
    missing_share: float
    reference_missing_share: float
    blind: bool
    unseen_share: float | None = None

    def as_json(self) -> dict[str, Any]:
        """All fields as plain JSON."""
        return asdict(self)


def psi(expected: Sequence[float], actual: Sequence[float]) -> float:
    """The population stability index of two lists of shares, bin by bin;

    0 for equal ones, symmetric, never negative.
    """
    if len(expected) != len(actual) or not len(expected):
        raise DataError(
            f"A PSI needs the same bins on both sides; got {len(expected)} and {len(actual)}."
        )
    e = np.maximum(np.asarray(expected, dtype=np.float64), FLOOR)
    a = np.maximum(np.asarray(actual, dtype=np.float64), FLOOR)
    return float(np.sum((a - e) * np.log(a / e)))


def psi_noise(bins: int, rows: int, reference_rows: int) -> float:
    """What PSI exceeds in one of a thousand intervals without drift, for independent rows (module
    docstring).

    The chi-square quantile is Wilson and Hilferty's (1931) cube-root approximation, never too small
    and at most 4 % too large.
    """
    freedom = max(bins - 1, 1)
    spread = 2.0 / (9.0 * freedom)
    quantile = freedom * (1.0 - spread + NOISE_Z * math.sqrt(spread)) ** 3
    return (1.0 / rows + 1.0 / reference_rows) * quantile


def measure(model: ScoringModel, frame: pl.DataFrame, limits: Monitoring) -> list[ColumnDrift]:
    """Drift of every input, in the model's order, and last of the score (column `score`, kind
    `score`).

    Of several classes the predicted class follows, as a score too (`predicted_class`).

    `frame` holds the model's source columns and `score`, at least one row. Raises `RegistryError`
    when the reference does not fit the model.
    """
    reference = checked_reference(model)
    matrix = model.transform.apply_frame(frame)
    unseen = model.transform.unseen({name: frame[name] for name in model.transform.columns})
    result: list[ColumnDrift] = []
    for position, item in enumerate(model.transform.inputs):
        share = unseen[item.name] / frame.height if item.name in unseen else None
        result.append(
            _column(
                item.name,
                reference["inputs"][item.name],
                matrix[:, position],
                reference["rows"],
                limits,
                unseen_share=share,
            )
        )
    scores = frame[SCORE].cast(pl.Float64).to_numpy()
    result.append(
        _column(
            SCORE,
            {**reference["score"], "kind": "number"},
            scores,
            reference["rows"],
            limits,
            kind=SCORE,
        )
    )
    if model.metadata.problem == "multiclass":
        result.append(_predicted_class(model, frame, limits))
    return result


def verdict(measured: Sequence[ColumnDrift], limits: Monitoring) -> dict[str, Any]:
    """`{"verdict", "judged", "inputs", "drifted_inputs", "drifted_share", "limit", "blind_inputs",
    "score_drifted"}`.

    The population has drifted when more than `limits.drifted_share` of the inputs have. The score's
    drift is reported and does not count among them. Below the minimum of rows the verdict is `not
    judged`.
    """
    inputs = [column for column in measured if column.kind != SCORE]
    drifted = [column.column for column in inputs if column.drifted]
    rows = min(column.rows for column in measured)
    judged = rows >= limits.minimum_rows
    share = len(drifted) / len(inputs)
    word = "drifted" if share > limits.drifted_share else "stable"
    return {
        "verdict": word if judged else "not judged",
        "judged": judged,
        "inputs": len(inputs),
        "drifted_inputs": drifted if judged else [],
        "drifted_share": share if judged else None,
        "limit": limits.drifted_share,
        "blind_inputs": [column.column for column in inputs if column.blind],
        "score_drifted": (
            judged and any(column.drifted for column in measured if column.kind == SCORE)
        ),
    }


def checked_reference(model: ScoringModel) -> dict[str, Any]:
    """The model's reference.

    Raises `RegistryError` naming what is missing or does not fit: no reference is never "no drift".
    """
    problems = _reference_problems(model.reference, model.transform)
    if problems:
        raise RegistryError(
            f"reference.json of run {model.metadata.run_id} does not fit its model:"
            f" {'; '.join(problems)}. Drift cannot be measured against it; train and release a"
            " version with a complete package."
        )
    return model.reference


def _reference_problems(reference: Mapping[str, Any], transform: FeatureTransform) -> list[str]:
    rows = reference.get("rows")
    problems = (
        [] if isinstance(rows, int) and rows > 0 else [f"rows is {rows!r}, not a positive count"]
    )
    entries = reference.get("inputs") or {}
    missing = [name for name in transform.feature_names if name not in entries]
    foreign = sorted(set(entries) - set(transform.feature_names))
    problems += [f"inputs {missing} are missing"] if missing else []
    problems += [f"inputs {foreign} are not the model's"] if foreign else []
    for item in transform.inputs:
        if item.name in entries:
            known = list(transform.categories[item.name]) if item.kind == "category" else None
            problems += _entry_problems(item.name, entries[item.name], known)
    return problems + _entry_problems(SCORE, reference.get("score") or {}, None)


def _entry_problems(name: str, entry: Mapping[str, Any], categories: list[str] | None) -> list[str]:
    shares = entry.get("shares") or []
    bins = len(entry.get("edges", [])) + 2 if categories is None else len(categories) + 1
    if categories is not None and list(entry.get("categories", [])) != categories:
        return [f"{name}: its categories are not those of the model"]
    if entry.get("kind", "number") != ("number" if categories is None else "category"):
        return [f"{name}: its kind is {entry.get('kind')!r}"]
    if len(shares) != bins:
        return [f"{name}: {len(shares)} shares for {bins} bins"]
    if min(shares) < 0.0 or abs(sum(shares) - 1.0) > SHARES_TOLERANCE:
        return [f"{name}: its shares sum to {sum(shares):.6f}, not 1"]
    return []


def _predicted_class(model: ScoringModel, frame: pl.DataFrame, limits: Monitoring) -> ColumnDrift:
    """Raises `RegistryError` when the reference holds no shares of the classes."""
    entry, classes = model.reference.get(PREDICTED_CLASS) or {}, list(model.metadata.classes)
    problems = _entry_problems(PREDICTED_CLASS, entry, classes)
    if problems:
        raise RegistryError(
            f"reference.json of run {model.metadata.run_id} does not fit its model:"
            f" {'; '.join(problems)}."
        )
    places = {name: float(place) for place, name in enumerate(classes)}
    codes = (
        frame[PREDICTED_CLASS]
        .replace_strict(places, default=None, return_dtype=pl.Float64)
        .fill_null(float("nan"))
        .to_numpy()
    )
    return _column(PREDICTED_CLASS, entry, codes, model.reference["rows"], limits, kind=SCORE)


def _column(
    name: str,
    entry: Mapping[str, Any],
    values: np.ndarray,
    reference_rows: int,
    limits: Monitoring,
    *,
    kind: str | None = None,
    unseen_share: float | None = None,
) -> ColumnDrift:
    shares, expected = bin_shares(entry, values), entry["shares"]
    occupied = sum(max(pair) > 0.0 for pair in zip(shares, expected, strict=True))
    distance, noise = psi(expected, shares), psi_noise(occupied, len(values), reference_rows)
    drifted = (
        len(values) >= limits.minimum_rows and distance > limits.feature_psi and distance > noise
    )
    return ColumnDrift(
        column=name,
        kind=kind or str(entry["kind"]),
        psi=distance,
        limit=limits.feature_psi,
        noise=noise,
        drifted=drifted,
        rows=len(values),
        missing_share=shares[-1],
        reference_missing_share=expected[-1],
        blind=sum(share > 0.0 for share in expected[:-1]) < MINIMUM_BINS,
        unseen_share=unseen_share,
    )
