"""Drift: whether the inputs of an interval are still those that the model was trained on.

An input has drifted when the corrected check (`include.monitoring.checks.distribution`) is sure of
it, in as many windows as are declared, and it moved by at least `drift_effect`; the population when
more than `drifted_share` of its inputs have. What the check could not judge is no drift and no
all-clear.

Beside it stands the population stability index (`include.stats.psi`) between the training split's
shares per bin (reference.json of the model package) and the interval's shares in the same bins,
where missing values have a bin of their own, which for categories holds the unseen ones too. It
describes and decides nothing.
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
from include.monitoring.checks.distribution import DISTRIBUTION, MOVED
from include.spec import Monitoring
from include.stats.psi import psi, psi_noise
from include.verdict import Finding

MINIMUM_BINS = 2
DRIFT = "drift"


@dataclass(frozen=True)
class ColumnDrift:
    """One input, or the score. `unseen_share` is null unless the input is a category;
    `missing_share` includes unseen values.

    `effect` (a Hellinger distance), `corrected_p` and `drifted` are the check's, null and False of
    a column that it did not compare. `noise` is what the PSI of so many independent rows exceeds by
    chance in one of a thousand intervals. `blind`: all training values fell into one bin, so that
    the PSI cannot see a shift within that bin.
    """

    column: str
    kind: str
    psi: float
    noise: float
    effect: float | None
    corrected_p: float | None
    limit: float
    drifted: bool
    rows: int
    missing_share: float
    reference_missing_share: float
    blind: bool
    unseen_share: float | None = None

    def as_json(self) -> dict[str, Any]:
        """All fields as plain JSON."""
        return asdict(self)


def measure(
    model: ScoringModel, frame: pl.DataFrame, limits: Monitoring, findings: Sequence[Finding] = ()
) -> list[ColumnDrift]:
    """Drift of every input, in the model's order, and last of the score (column `score`, kind
    `score`), by what the check found of them.

    Of several classes the predicted class follows, as a score too (`predicted_class`).

    `frame` holds the model's source columns and `score`, at least one row. Raises `RegistryError`
    when the reference does not fit the model.
    """
    reference = checked_reference(model)
    matrix = model.transform.apply_frame(frame)
    unseen = model.transform.unseen({name: frame[name] for name in model.transform.columns})
    moved = _by_column(findings)
    result: list[ColumnDrift] = []

    def add(name: str, entry: Mapping[str, Any], values: np.ndarray, kind: str) -> None:
        share = unseen[name] / frame.height if kind != SCORE and name in unseen else None
        column = _Column(name, kind, entry, values, share)
        result.append(_measured(column, reference["rows"], limits, moved.get(name)))

    for position, item in enumerate(model.transform.inputs):
        entry = reference["inputs"][item.name]
        add(item.name, entry, matrix[:, position], str(entry["kind"]))
    scores = frame[SCORE].cast(pl.Float64).to_numpy()
    add(SCORE, {**reference["score"], "kind": "number"}, scores, SCORE)
    if model.metadata.answers.class_names:
        add(PREDICTED_CLASS, *_predicted_class(model, frame), SCORE)
    return result


def verdict(
    measured: Sequence[ColumnDrift],
    limits: Monitoring,
    findings: Sequence[Finding],
    error: str | None = None,
) -> dict[str, Any]:
    """`{"verdict", "judged", "inputs", "drifted_inputs", "drifted_share", "limit", "blind_inputs",
    "score_drifted", "findings"}`; `findings` are those of the checks, `error` why there are none.

    The population has drifted when more than `limits.drifted_share` of the inputs have. The score's
    drift is reported and does not count among them. Where the check had too little to decide on the
    verdict is `not judged`, and nothing refuses. `judged` is whether there were enough rows for any
    judgement of the data.
    """
    inputs = [column for column in measured if column.kind != SCORE]
    scores = [column for column in measured if column.kind == SCORE]
    drifted = [column.column for column in inputs if column.drifted]
    open_because = _left_open(inputs, limits, findings, error)
    judged, share = open_because is None, len(drifted) / len(inputs)
    word = "drifted" if share > limits.drifted_share else "stable"
    return {
        "verdict": word if judged else "not judged",
        "judged": min(column.rows for column in measured) >= limits.minimum_rows,
        "inputs": len(inputs),
        "drifted_inputs": drifted if judged else [],
        "drifted_share": share if judged else None,
        "limit": limits.drifted_share,
        "blind_inputs": [column.column for column in inputs if column.blind],
        "score_drifted": any(column.drifted for column in scores),
        "findings": _findings(inputs, limits) if open_because is None else [open_because],
    }


def _left_open(
    inputs: Sequence[ColumnDrift],
    limits: Monitoring,
    findings: Sequence[Finding],
    error: str | None,
) -> Finding | None:
    """Why the check decided nothing; None where it compared the inputs."""
    rows = min(column.rows for column in inputs)
    if rows < limits.minimum_rows:
        reason = f"{rows} predictions are fewer than the minimum of {limits.minimum_rows}"
        return _not_judged("minimum_rows", reason, rows, limits.minimum_rows)
    if any(column.effect is not None for column in inputs):
        return None
    named = [item for item in findings if item.subject == DISTRIBUTION and not item.judged]
    if named:
        return _not_judged(named[0].rule, named[0].reason)
    return _not_judged("reference", (error or "the inputs were not compared").rstrip("."))


def _not_judged(
    rule: str, reason: str, observed: int | None = None, limit: int | None = None
) -> Finding:
    return Finding(
        rule=rule,
        subject=DRIFT,
        observed=observed,
        limit=limit,
        passed=True,
        judged=False,
        reason=reason,
    )


def _findings(inputs: Sequence[ColumnDrift], limits: Monitoring) -> list[Finding]:
    """The share of drifted inputs, which decides, and the inputs that make it up, worst first."""
    drifted = sorted(
        (column for column in inputs if column.drifted), key=lambda item: -(item.effect or 0.0)
    )
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
        rule="effect",
        subject=DRIFT,
        part=column.column,
        observed=column.effect,
        limit=column.limit,
        passed=passed,
        reason=(
            f"Input {column.column} is a Hellinger distance of {column.effect:.3f} from the"
            f" training data on {column.rows} rows, limit {column.limit:.3f} (corrected p"
            f" {column.corrected_p:.2g})."
        ),
    )


def _predicted_class(
    model: ScoringModel, frame: pl.DataFrame
) -> tuple[Mapping[str, Any], np.ndarray]:
    """The reference's entry and the codes of the predicted classes.

    Raises `RegistryError` when the reference holds no shares of the classes.
    """
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
    return entry, codes


def _by_column(findings: Sequence[Finding]) -> dict[str, Finding]:
    """What the check says of each column that it compared."""
    return {
        item.part: item for item in findings if item.subject == DISTRIBUTION and item.rule == MOVED
    }


@dataclass(frozen=True)
class _Column:
    """A column's values, float64 of shape (rows,), and its entry of the reference."""

    name: str
    kind: str
    entry: Mapping[str, Any]
    values: np.ndarray
    unseen_share: float | None


def _measured(
    column: _Column, reference_rows: int, limits: Monitoring, moved: Finding | None
) -> ColumnDrift:
    shares, expected = bin_shares(column.entry, column.values), column.entry["shares"]
    occupied = sum(max(pair) > 0.0 for pair in zip(shares, expected, strict=True))
    details: Mapping[str, Any] = (moved.example if moved is not None else None) or {}
    return ColumnDrift(
        column=column.name,
        kind=column.kind,
        psi=psi(expected, shares),
        noise=psi_noise(occupied, len(column.values), reference_rows),
        effect=None if moved is None else float(str(moved.observed)),
        corrected_p=details.get("corrected_p"),
        limit=limits.drift_effect,
        drifted=bool(details.get("drifted")),
        rows=len(column.values),
        missing_share=shares[-1],
        reference_missing_share=expected[-1],
        blind=sum(share > 0.0 for share in expected[:-1]) < MINIMUM_BINS,
        unseen_share=column.unseen_share,
    )
