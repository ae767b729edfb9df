"""Drift: how far the inputs and scores of an interval have moved from what the model was trained
on.

Measured is the population stability index (`include.stats.psi`) between the training split's shares
per bin (reference.json of the model package) and the interval's shares in the same bins. Missing
values have a bin of their own, which for categories holds the unseen ones too.

An input has drifted when its PSI is above the declared limit *and* above the noise of so few rows
in so many bins; nothing is judged below the declared minimum of rows. Rows that share a cause (all
flights of an hour share the weather) vary more than the noise assumes; for them the limit is what
protects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from include.errors import RegistryError
from include.model.package import ScoringModel
from include.model.reference import bin_shares
from include.model.reference_check import PREDICTED_CLASS, SCORE, checked_reference, entry_problems
from include.spec import Monitoring
from include.stats.psi import psi, psi_noise
from include.verdict import Finding

MINIMUM_BINS = 2
DRIFT = "drift"


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
    if model.metadata.answers.class_names:
        result.append(_predicted_class(model, frame, limits))
    return result


def verdict(measured: Sequence[ColumnDrift], limits: Monitoring) -> dict[str, Any]:
    """`{"verdict", "judged", "inputs", "drifted_inputs", "drifted_share", "limit", "blind_inputs",
    "score_drifted", "findings"}`.

    The population has drifted when more than `limits.drifted_share` of the inputs have. The score's
    drift is reported and does not count among them. Below the minimum of rows the verdict is `not
    judged`, and nothing refuses.
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
        "findings": _findings(inputs, rows, limits),
    }


def _findings(inputs: Sequence[ColumnDrift], rows: int, limits: Monitoring) -> list[Finding]:
    """The share of drifted inputs, which decides, and the inputs that make it up, worst first."""
    if rows < limits.minimum_rows:
        reason = f"{rows} predictions are fewer than the minimum of {limits.minimum_rows}"
        return [
            Finding(
                rule="minimum_rows",
                subject=DRIFT,
                observed=rows,
                limit=limits.minimum_rows,
                passed=True,
                judged=False,
                reason=reason,
            )
        ]
    drifted = sorted((column for column in inputs if column.drifted), key=lambda item: -item.psi)
    share, most = len(drifted) / len(inputs), limits.drifted_share
    whole = Finding(
        rule="drifted_share",
        subject=DRIFT,
        observed=share,
        limit=most,
        passed=share <= most,
        reason=(
            f"{len(drifted)} of {len(inputs)} inputs have drifted from the training data: a share"
            f" of {share:.2f}, limit {most:.2f}."
        ),
    )
    return [whole, *(_drifted_input(column, whole.passed) for column in drifted)]


def _drifted_input(column: ColumnDrift, passed: bool) -> Finding:
    return Finding(
        rule="psi",
        subject=DRIFT,
        part=column.column,
        observed=column.psi,
        limit=column.limit,
        noise=column.noise,
        passed=passed,
        reason=(
            f"Input {column.column} has a PSI of {column.psi:.3f} on {column.rows} rows, limit"
            f" {column.limit:.3f}."
        ),
    )


def _predicted_class(model: ScoringModel, frame: pl.DataFrame, limits: Monitoring) -> ColumnDrift:
    """Raises `RegistryError` when the reference holds no shares of the classes."""
    entry, classes = model.reference.get(PREDICTED_CLASS) or {}, list(model.metadata.classes)
    problems = entry_problems(PREDICTED_CLASS, entry, classes)
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
