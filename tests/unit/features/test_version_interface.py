"""A version is asked for what it was trained with, whatever its specification says since."""

from __future__ import annotations

from typing import Any

import pytest

from include.errors import SpecError
from include.features.store import NO_SERVICE
from include.features.version_interface import VersionInterface, as_read_by, undeclared_sources
from include.spec import (
    Column,
    Input,
    RequestColumn,
    RequestField,
    UseCase,
    feature_types,
    request_model,
)
from tests.unit.model.synthetic import PARCELS, USE_CASE

FORMER = VersionInterface(3, USE_CASE.inputs, "asked_at", request_model(USE_CASE))
FROM_BEFORE = VersionInterface(2, USE_CASE.inputs, "asked_at")
"""Of a package that holds no request."""


def changed(
    *, inputs: Any = USE_CASE.inputs, fields: Any = None, columns: Any = None, **more: Any
) -> UseCase:
    """The parcels with another request or other columns, built as a specification is."""
    serving = USE_CASE.serving
    if fields is not None:
        serving = serving.model_copy(update={"request_fields": fields})
    table = PARCELS if columns is None else PARCELS.model_copy(update={"columns": columns})
    values = {
        **dict(USE_CASE),
        "inputs": inputs,
        "serving": serving,
        "tables": (table, *USE_CASE.tables[1:]),
        **more,
    }
    return UseCase(**values)


def without(name: str) -> tuple[Input, ...]:
    return tuple(item for item in USE_CASE.inputs if item.name != name)


def asked(use_case: UseCase) -> dict[str, RequestColumn]:
    return {column.name: column for column in request_model(use_case)}


@pytest.mark.parametrize("version", [FORMER, FROM_BEFORE])
def test_a_version_that_reads_what_is_declared_changes_nothing(version: VersionInterface) -> None:
    assert as_read_by(USE_CASE, [version]) is USE_CASE
    assert as_read_by(USE_CASE, []) is USE_CASE


@pytest.mark.parametrize("version", [FORMER, FROM_BEFORE])
def test_a_removed_request_field_is_asked_for_as_long_as_a_version_reads_it(
    version: VersionInterface,
) -> None:
    today = changed(inputs=without("pickup_hour"), fields=())
    assert "pickup" not in asked(today)
    read = as_read_by(today, [version])
    assert asked(read)["pickup"] == asked(USE_CASE)["pickup"]
    assert read.privacy("pickup") == "clear"
    newer = VersionInterface(4, today.inputs, "asked_at", request_model(today))
    assert as_read_by(today, [newer]) is today
    # While both answer requests, the field is needed.
    assert not asked(as_read_by(today, [newer, version]))["pickup"].optional


def test_a_column_that_no_table_declares_is_asked_for_and_not_logged() -> None:
    columns = tuple(column for column in PARCELS.columns if column.name != "pickup")
    today = changed(inputs=without("pickup_hour"), fields=(), columns=columns)
    read = as_read_by(today, [FORMER])
    assert (asked(read)["pickup"].type, read.privacy("pickup")) == ("timestamp", "drop")
    assert undeclared_sources(today, FORMER) == ["pickup"]
    assert undeclared_sources(USE_CASE, FORMER) == []


def test_a_new_request_field_may_be_left_out_until_a_version_reads_it() -> None:
    columns = (*PARCELS.columns, Column(name="weight", type="number"))
    fields = (*USE_CASE.serving.request_fields, RequestField(name="weight"))
    inputs = (*USE_CASE.inputs, Input(name="weight", source="weight"))
    today = changed(inputs=inputs, fields=fields, columns=columns)
    read = as_read_by(today, [FORMER])
    assert asked(read)["weight"].optional
    assert asked(read)["weight"].nullable
    newer = VersionInterface(4, inputs, "asked_at", request_model(today))
    assert not asked(as_read_by(today, [FORMER, newer]))["weight"].optional


def test_a_retyped_field_has_the_type_that_the_version_was_trained_with() -> None:
    columns = tuple(
        Column(name="depot", type="integer") if column.name == "depot" else column
        for column in PARCELS.columns
    )
    today = changed(inputs=without("depot"), columns=columns, slices=())
    assert asked(as_read_by(today, [FORMER]))["depot"].type == "string"
    assert asked(as_read_by(today, [FROM_BEFORE]))["depot"].type == "string"
    newer = VersionInterface(4, today.inputs, "asked_at", request_model(today))
    with pytest.raises(SpecError, match=r"versions \[3, 4\] read 'depot' as"):
        as_read_by(today, [FORMER, newer])


def test_dropped_and_new_features_are_those_of_the_versions_in_force() -> None:
    inputs = (*without("load"), Input(name="queue", source="depot_daily:queue"))
    today = changed(inputs=inputs, baseline_input="queue")
    read = as_read_by(today, [FORMER])
    assert set(feature_types(read)) == {"depot_daily__load"}
    assert read.feature_service == NO_SERVICE
    newer = VersionInterface(4, inputs, "asked_at", request_model(today))
    both = as_read_by(today, [FORMER, newer])
    assert set(feature_types(both)) == {"depot_daily__load", "depot_daily__queue"}
    assert as_read_by(today, [newer]).feature_service == today.feature_service


def test_an_optional_field_that_an_input_reads_may_be_null_in_training_too() -> None:
    optional = (RequestField(name="pickup", optional=True),)
    with pytest.raises(SpecError, match=r"'pickup' is optional and an input reads it.*max_null"):
        changed(fields=optional)
    unread = changed(inputs=without("pickup_hour"), fields=optional)
    assert asked(unread)["pickup"].optional
    assert asked(unread)["pickup"].nullable
    columns = tuple(
        column.model_copy(update={"max_null_share": 0.1}) if column.name == "pickup" else column
        for column in PARCELS.columns
    )
    assert asked(changed(fields=optional, columns=columns))["pickup"].optional
