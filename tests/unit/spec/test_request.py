"""What a caller sends follows from the entity table, and what contradicts it fails when it is
declared.
"""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from include.errors import SpecError
from include.spec import Column, Table, UseCase, exchanged_columns, feature_types, request_model
from include.use_cases.flight_delays.spec import USE_CASE


def declared(**columns: dict[str, Any]) -> dict[str, Any]:
    """The flights with other declarations of some columns of their entity table."""
    fields = USE_CASE.model_dump()
    for column in fields["tables"][0]["columns"]:
        column.update(columns.get(column["name"], {}))
    return fields


def refusal(fields: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as refused:
        UseCase.model_validate(fields)
    return str(refused.value)


def test_types_and_nulls_are_those_of_the_columns() -> None:
    fields = declared(carrier={"type": "integer"}, scheduled_departure={"max_null_share": 0.1})
    fields["inputs"] = [part for part in fields["inputs"] if part["name"] != "carrier"]
    fields.pop("slices")
    fields["gates"]["fairness"] = ()
    model = {column.name: column for column in request_model(UseCase.model_validate(fields))}
    assert [*model] == [
        "carrier",
        "origin",
        "dest",
        "tailnum",
        "scheduled_departure",
        "asked_at",
        "flight_id",
    ]
    assert (model["carrier"].type, model["carrier"].nullable) == ("integer", False)
    assert (model["tailnum"].type, model["tailnum"].nullable) == ("string", True)
    assert model["scheduled_departure"].nullable
    assert (model["asked_at"].nullable, model["asked_at"].optional) == (False, False)
    assert (model["flight_id"].nullable, model["flight_id"].optional) == (True, True)


def test_only_the_entity_tables_columns_are_exchanged() -> None:
    assert "tailnum" in exchanged_columns(USE_CASE, "raw/flights")
    assert "distance" not in exchanged_columns(USE_CASE, "raw/flights")
    assert exchanged_columns(USE_CASE, "raw/planes") == frozenset()
    assert set(feature_types(USE_CASE).values()) == {"number"}


@pytest.mark.parametrize("kind", ["string", "integer", "number", "boolean"])
def test_a_request_field_of_another_type_than_its_column_is_refused(kind: str) -> None:
    fields = declared()
    fields["serving"]["request_fields"][0]["type"] = kind
    assert f"is {kind!r}, and table 'raw/flights' declares 'timestamp'" in refusal(fields)


@pytest.mark.parametrize(
    ("columns", "named"),
    [
        ({"asked_at": {"type": "integer"}}, "must be a 'timestamp'"),
        ({"tailnum": {"type": "number"}}, "'tailnum' is an entity key or the id"),
        ({"flight_id": {"type": "timestamp"}}, "'flight_id' is an entity key or the id"),
        ({"carrier": {"type": "integer"}}, "kind is 'category', which reads string"),
    ],
)
def test_a_type_that_cannot_serve_is_refused(columns: dict[str, Any], named: str) -> None:
    assert named in refusal(declared(**columns))


@pytest.mark.parametrize("name", ["", " month", "month ", "a\tb", "a\0b", "*", "^month.*$"])
def test_a_name_that_no_table_can_hold_is_refused(name: str) -> None:
    with pytest.raises((ValidationError, SpecError), match="its name"):
        Column(name=name, type="number")


@pytest.mark.parametrize(
    "name", ["asked at", "due-in", 'the "tier"', "größe (m)", "東京", "select", "a.b"]
)
def test_any_other_name_may_be_declared(name: str) -> None:
    assert Column(name=name, type="number").name == name


@pytest.mark.parametrize("names", [("month", "Month"), ("straße", "STRASSE"), ("month", "month")])
def test_columns_that_differ_only_in_case_are_refused(names: tuple[str, str]) -> None:
    columns = tuple(Column(name=name, type="number") for name in names)
    with pytest.raises((ValidationError, SpecError), match="declares"):
        Table(name="raw/x", key=(), columns=columns, time_column=None)


def test_inputs_and_views_that_differ_only_in_case_are_refused() -> None:
    fields = declared()
    fields["inputs"] += ({**fields["inputs"][-1], "name": "Carrier"},)
    assert "'carrier' and 'Carrier'" in refusal(fields)
    fields = declared()
    fields["feature_tables"] += ({"view": "PLANE", "table": "features/other"},)
    assert "'plane' and 'PLANE'" in refusal(fields)


@pytest.mark.parametrize("name", ["features", "a:b"])
def test_a_key_whose_name_means_something_else_in_a_request_is_refused(name: str) -> None:
    fields = declared(tailnum={"name": name})
    fields["serving"]["entity_keys"] = ("carrier", "origin", "dest", name)
    fields["data_set"]["columns"] = (name, "scheduled_departure", "carrier", "origin", "dest")
    assert f"{name!r} is an entity key" in refusal(fields)


def personal(log_days: int | None, *clear: str) -> dict[str, Any]:
    """The flights as if they were about persons, with these of their keys logged as they are."""
    keys = dict.fromkeys((USE_CASE.id_column, *USE_CASE.serving.entity_keys))
    fields = declared(**{name: {"privacy": "hash"} for name in keys if name not in clear})
    fields["data_set"]["sensitivity"] = "personal"
    fields["serving"]["log_days"] = log_days
    return fields


def test_data_about_persons_names_nobody_in_the_log_and_is_not_logged_for_ever() -> None:
    UseCase.model_validate(personal(90))
    assert "['flight_id', 'tailnum'] as they are" in refusal(personal(90, "flight_id", "tailnum"))
    assert "serving.log_days is None" in refusal(personal(None))
