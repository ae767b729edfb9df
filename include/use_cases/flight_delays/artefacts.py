"""What a training of this use case keeps beside what every training keeps: how late each carrier
was, and was said to be.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from include.model.package import ScoringModel
from include.spec import UseCase
from include.training.artefacts import JSON, ArtefactType, Custom


class CarrierRow(BaseModel):
    """One carrier's flights of the test split;

    `late_share` is what happened, `mean_score` what the model said (both 0 to 1).
    """

    model_config = ConfigDict(extra="forbid")

    carrier: str
    flights: int = Field(ge=1)
    late_share: float = Field(ge=0.0, le=1.0)
    mean_score: float = Field(ge=0.0, le=1.0)


def carriers(
    use_case: UseCase, model: ScoringModel, splits: Mapping[str, pl.DataFrame]
) -> list[dict[str, object]] | None:
    """One row per carrier, the largest first; nothing for a model that answers something else than
    late or not.
    """
    if not use_case.problem.label_is_rate:
        return None
    test = splits["test"]
    scored = test.select("carrier", use_case.label.column).with_columns(
        pl.Series("score", model.score_frame(test))
    )
    grouped = scored.group_by("carrier").agg(
        pl.len().alias("flights"),
        pl.col(use_case.label.column).mean().alias("late_share"),
        pl.col("score").mean().alias("mean_score"),
    )
    return grouped.sort(["flights", "carrier"], descending=[True, False]).to_dicts()


ARTEFACTS = (
    Custom(
        ArtefactType(
            "carrier scorecard",
            "carriers.json",
            JSON,
            "late flights by carrier, said and seen",
            list[CarrierRow],
        ),
        carriers,
    ),
)
