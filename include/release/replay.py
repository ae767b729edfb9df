"""What any version would have answered: a logged window scored again, and compared with what was
answered. Nothing of it serves, so it comes before every release on live traffic.

The features are those that the endpoint used for the answer, so a difference is the model's and not
the store's.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from include.errors import DataError
from include.inference_log.log import log_table, ship, was_answered
from include.inference_log.redaction import Redaction
from include.interval import Interval
from include.model.package import ScoringModel, load_model
from include.model.reference import bin_counts
from include.problems.registry import strategy_of
from include.release.analysis.outcome_rows import labelled_rows
from include.release.packages import opened_package
from include.settings import Settings
from include.spec import UseCase
from include.stats.psi import psi
from include.stats.sequential import Sample, difference_bounds
from include.tables.store import TableStore, in_window

CHUNK_ROWS = 50_000
"""Scored at once."""
ANSWERED_AT = "answered_at"


@dataclass(frozen=True)
class Replay:
    """A version against what was answered in a window (by the clock of the answers).

    `answered_by` counts the rows by the version that answered them. `different` are other
    decisions, `score_psi` compares both distributions over the version's own reference bins.
    `hidden` rows could not be scored, for the log hides a value that the model reads. The losses
    are those of releases, over `labelled` rows whose label is known; `improvement` is how much
    lower the version's mean loss is, with its 95 % bounds, None without labels.
    """

    use_case: str
    version: int
    digest: str
    start: str
    end: str
    rows: int
    hidden: int
    answered_by: dict[str, int]
    different: int
    mean_difference: float
    largest_difference: float
    score_psi: float
    labelled: int
    loss: float | None = None
    answered_loss: float | None = None
    improvement: tuple[float, float, float] | None = None

    def as_json(self) -> dict[str, Any]:
        """All fields as plain JSON."""
        return asdict(self)


def replay(settings: Settings, use_case: UseCase, version: int, window: Interval) -> Replay:
    """Score the answers of a window again with a version, from the model store or the registry.

    Raises `DataError` where nothing was answered, or where the log lacks what the version reads;
    `RegistryError` where there is no such version, or its package is not the one that was signed.
    """
    ship(settings, use_case.name)
    tables = TableStore(settings.tables_uri)
    answered, hidden = _answered(settings, use_case, tables, window)
    with opened_package(settings, use_case, version) as folder:
        model = load_model(folder)
    scored = answered.with_columns(_scored(use_case, model, answered, version))
    return _compared(settings, use_case, tables, window, version, model, answered, scored, hidden)


def _compared(
    settings: Settings,
    use_case: UseCase,
    tables: TableStore,
    window: Interval,
    version: int,
    model: ScoringModel,
    answered: pl.DataFrame,
    scored: pl.DataFrame,
    hidden: int,
) -> Replay:
    before, after = (frame["score"].to_numpy() for frame in (answered, scored))
    entry = {**model.reference["score"], "kind": "number"}
    shares = [np.array(bin_counts(entry, part)) / len(part) for part in (before, after)]
    counted = answered["model_version"].value_counts().sort("model_version")
    apart = np.abs(after - before)
    return Replay(
        use_case=use_case.name,
        version=version,
        digest=model.digest,
        start=window.start.isoformat(),
        end=window.end.isoformat(),
        rows=answered.height,
        hidden=hidden,
        answered_by={str(number): int(rows) for number, rows in counted.iter_rows()},
        different=int(strategy_of(use_case).are_different(answered, scored).sum()),
        mean_difference=float(apart.mean()),
        largest_difference=float(apart.max()),
        score_psi=psi(shares[0], shares[1]),
        **_losses(settings, use_case, tables, answered, scored),
    )


def _losses(
    settings: Settings,
    use_case: UseCase,
    tables: TableStore,
    answered: pl.DataFrame,
    scored: pl.DataFrame,
) -> dict[str, Any]:
    """Both losses on the rows whose label is known; they are paired, so the bounds are those of the
    mean of the differences.
    """
    strategy = strategy_of(use_case)
    known = labelled_rows(use_case, settings, tables, answered)
    if known.height == 0:
        return {"labelled": 0}
    again = known.select("prediction_id", "label").join(
        scored, on="prediction_id", how="left", maintain_order="left"
    )
    losses = [strategy.row_losses(part) for part in (known, again)]
    gains = losses[0] - losses[1]
    bounds = difference_bounds(
        Sample(known.height, float(gains.mean()), float(gains.var())),
        Sample(known.height, 0.0, 0.0),
        alpha=0.05,
        sharpest=2 * known.height,
        spread=0.0,
    )
    return {
        "labelled": known.height,
        "loss": float(losses[1].mean()),
        "answered_loss": float(losses[0].mean()),
        "improvement": (bounds.difference, bounds.low, bounds.high),
    }


def _answered(
    settings: Settings, use_case: UseCase, tables: TableStore, window: Interval
) -> tuple[pl.DataFrame, int]:
    """The window's answers, each once, and how many of them the log hides too much of."""
    name = log_table(use_case.name)
    frame = pl.DataFrame()
    if tables.exists(name):
        stored = tables.scan(name)
        answers = was_answered(stored.collect_schema().names())
        frame = stored.filter(answers & in_window(ANSWERED_AT, window.start, window.end)).collect()
    if frame.height == 0:
        raise DataError(
            f"{use_case.name} answered nothing from {window.text}: there is nothing to replay."
            " `flightdeck releases history` says when which version served."
        )
    redaction = Redaction(settings, use_case)
    if not redaction.marked:
        return frame.sort(ANSWERED_AT, "prediction_id"), 0
    lifted = redaction.lift(tables, frame)
    sources = {item.source for item in use_case.inputs}
    needed = [column for column in redaction.marked if column in sources]
    whole = lifted
    if needed:
        whole = lifted.filter(pl.any_horizontal(pl.col(name).is_not_null() for name in needed))
    if whole.height == 0:
        raise DataError(
            f"The log of {use_case.name} hides {needed}, which the model reads, and the entity"
            " table does not know the ids: these answers cannot be scored again."
        )
    return whole.sort(ANSWERED_AT, "prediction_id"), lifted.height - whole.height


def _scored(
    use_case: UseCase, model: ScoringModel, answered: pl.DataFrame, version: int
) -> list[pl.Series]:
    """The columns of the answers as the version gives them."""
    needed = {*model.transform.columns}
    missing = sorted(needed - {*answered.columns})
    if missing:
        raise DataError(
            f"Version {version} of {use_case.name} reads {missing}, which the log does not hold: it"
            " was trained for other features than were served. Replay a window in which they were."
        )
    scores = [
        model.score_frame(answered.slice(start, CHUNK_ROWS))
        for start in range(0, answered.height, CHUNK_ROWS)
    ]
    return model.metadata.answers.columns(np.concatenate(scores))
