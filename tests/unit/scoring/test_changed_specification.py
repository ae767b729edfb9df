"""A champion from before a change scores batches and is compared as it was trained."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from include.data_sets.former_inputs import with_former_inputs
from include.errors import DataError
from include.features.retrieval import point_in_time
from include.model.package import ScoringModel
from include.scoring.batch import read_entities, score_entities
from include.scoring.champion import champion_model, read_by
from include.spec import UseCase
from tests.unit.scoring.world import FEBRUARY, FLIGHTS, World

FIELD, VIEW = "scheduled_departure", "plane"
ROWS = 300


def changed(**more: Any) -> UseCase:
    """The flights without a request field, and without the features of a view."""
    fields = tuple(part for part in FLIGHTS.serving.request_fields if part.name != FIELD)
    inputs = tuple(item for item in FLIGHTS.inputs if item.source != FIELD and item.view != VIEW)
    serving = FLIGHTS.serving.model_copy(update={"request_fields": fields})
    return FLIGHTS.model_copy(update={"serving": serving, "inputs": inputs, **more})


def without_column() -> UseCase:
    """The same after the column left the entity table's declaration too."""
    (table, *others) = FLIGHTS.tables
    assert table.name == FLIGHTS.entity_table
    columns = tuple(column for column in table.columns if column.name != FIELD)
    return changed(tables=(table.model_copy(update={"columns": columns}), *others))


@pytest.fixture(scope="module")
def champion(world: World) -> ScoringModel:
    return champion_model(world.settings, FLIGHTS)[1]


def scores(world: World, use_case: UseCase, champion: ScoringModel) -> np.ndarray:
    entities = read_entities(use_case, world.tables, FEBRUARY).head(ROWS)
    scored = score_entities(use_case, world.settings, champion, 1, entities, FEBRUARY)
    return scored["score"].to_numpy()


def test_a_batch_is_scored_with_what_the_version_reads(
    world: World, champion: ScoringModel
) -> None:
    today = read_by(changed(), champion, 1)
    assert FIELD in today.request_columns
    assert np.array_equal(scores(world, today, champion), scores(world, FLIGHTS, champion))


def test_a_column_that_nobody_delivers_is_named_and_not_scored_as_missing(
    champion: ScoringModel,
) -> None:
    with pytest.raises(DataError, match=rf"Version 1 .* reads \['{FIELD}'\], which the table"):
        read_by(without_column(), champion, 1)


def test_a_champion_is_compared_with_the_inputs_that_only_it_reads(
    world: World, champion: ScoringModel
) -> None:
    entities = read_entities(FLIGHTS, world.tables, FEBRUARY).head(ROWS)
    whole = point_in_time(FLIGHTS, entities, world.settings)
    today = whole.drop(FIELD, *(name for name in whole.columns if name.startswith(f"{VIEW}__")))
    transform = champion.transform
    completed = with_former_inputs(
        changed(), world.settings, today, transform, created_by=FEBRUARY.end
    )
    assert completed["flight_id"].equals(today["flight_id"])
    same = completed.select(pl.col(transform.columns)).equals(whole.select(transform.columns))
    assert same
    assert with_former_inputs(
        FLIGHTS, world.settings, whole, transform, created_by=FEBRUARY.end
    ).equals(whole)
    with pytest.raises(DataError, match=f"'{FIELD}'.*until a version that does not read them"):
        with_former_inputs(
            without_column(), world.settings, today, transform, created_by=FEBRUARY.end
        )
