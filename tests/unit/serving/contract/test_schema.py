"""The request schema made from a specification: what it accepts, and that each refusal names the
field and what is valid.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.catalogue import load_use_case
from include.spec import UseCase
from serving.contract.errors import InvalidError, field_path
from serving.contract.feedback import feedback_schema
from serving.contract.schema import RequestSchema, component_name, request_schema
from serving.http.openapi import openapi_document, request_example

ROW = {
    "carrier": "AA",
    "origin": "JFK",
    "dest": "LAX",
    "tailnum": "N1",
    "scheduled_departure": "2013-04-01T11:00:00-04:00",
    "asked_at": "2013-04-01T12:00:00Z",
}


@pytest.fixture(scope="module")
def schema() -> RequestSchema:
    return request_schema(load_use_case("flight_delays"))


def request(**changes: Any) -> dict[str, Any]:
    return {"rows": [{**ROW, **changes}]}


def test_a_valid_row_comes_out_typed_in_utc(schema: RequestSchema) -> None:
    (row,) = schema.validate(request())
    assert row["scheduled_departure"] == datetime(2013, 4, 1, 15, tzinfo=UTC)
    assert row["asked_at"] == datetime(2013, 4, 1, 12, tzinfo=UTC)
    assert row["flight_id"] is None


@pytest.mark.parametrize(
    "text",
    [
        "2013-04-01T12:00:00+0000",
        "2013-04-01T12:00Z",
        "2013-04-01 14:00:00.000000+02:00",
        "2013-04-01t12:00:00z",
    ],
)
def test_times_may_be_written_in_any_iso_form_with_a_zone(schema: RequestSchema, text: str) -> None:
    assert schema.validate(request(asked_at=text))[0]["asked_at"] == datetime(
        2013, 4, 1, 12, tzinfo=UTC
    )


def test_only_a_key_whose_column_may_be_null_may_be_null(schema: RequestSchema) -> None:
    assert schema.validate(request(tailnum=None))[0]["tailnum"] is None
    with pytest.raises(InvalidError) as refused:
        schema.validate(request(carrier=None))
    assert refused.value.field == "rows[0].carrier"
    assert refused.value.valid == ["a string of 1 to 200 characters"]


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"carrier": 5}, "rows[0].carrier", "invalid_value"),
        ({"carrier": True}, "rows[0].carrier", "invalid_value"),
        ({"carrier": ["AA"]}, "rows[0].carrier", "invalid_value"),
        ({"carrier": ""}, "rows[0].carrier", "invalid_value"),
        ({"carrier": "A" * 201}, "rows[0].carrier", "invalid_value"),
        ({"carrier": "\ud800"}, "rows[0].carrier", "invalid_value"),
        ({"carier": "AA"}, "rows[0].carier", "unknown_field"),
        ({"asked_at": 1364817600}, "rows[0].asked_at", "invalid_value"),
        ({"asked_at": "2013-04-01T12:00:00"}, "rows[0].asked_at", "invalid_value"),
        ({"asked_at": "2013-04-01"}, "rows[0].asked_at", "invalid_value"),
        ({"asked_at": "2013-02-30T12:00:00Z"}, "rows[0].asked_at", "invalid_value"),
        ({"asked_at": "2013-04-01T12:00:60Z"}, "rows[0].asked_at", "invalid_value"),
        ({"asked_at": "0001-01-01T00:00:00+23:59"}, "rows[0].asked_at", "invalid_value"),
        ({"asked_at": "9999-12-31T23:59:59-23:59"}, "rows[0].asked_at", "invalid_value"),
        ({"asked_at": "२०१३-04-01T12:00:00Z"}, "rows[0].asked_at", "invalid_value"),
        ({"asked_at": None}, "rows[0].asked_at", "invalid_value"),
    ],
)
def test_a_refusal_names_the_field(
    schema: RequestSchema, changes: dict[str, Any], field: str, code: str
) -> None:
    with pytest.raises(InvalidError) as refused:
        schema.validate(request(**changes))
    assert refused.value.code == code
    error = orjson.loads(refused.value.body())["error"]
    assert error["field"] == field
    assert error["valid"]


def test_a_missing_field_is_named(schema: RequestSchema) -> None:
    with pytest.raises(InvalidError) as refused:
        schema.validate(
            {"rows": [ROW, {name: value for name, value in ROW.items() if name != "dest"}]}
        )
    assert (refused.value.code, refused.value.field) == ("missing_field", "rows[1].dest")


@pytest.mark.parametrize("rows", [[], [ROW] * 101])
def test_the_number_of_rows_is_bounded(schema: RequestSchema, rows: list[Any]) -> None:
    with pytest.raises(InvalidError) as refused:
        schema.validate({"rows": rows})
    assert (refused.value.code, refused.value.field, refused.value.valid) == (
        "row_count",
        "rows",
        ["a list of 1 to 100 rows"],
    )


@pytest.mark.parametrize(
    "document",
    [
        None,
        1,
        [],
        "x",
        {},
        {"row": []},
        {"rows": None},
        {"rows": [ROW], "use_case": "flight_delays"},
    ],
)
def test_a_document_of_another_form_is_refused_with_what_is_valid(
    schema: RequestSchema, document: Any
) -> None:
    with pytest.raises(InvalidError) as refused:
        schema.validate(document)
    assert refused.value.valid


def with_request_column(name: str, kind: str, max_null_share: float = 0.0) -> UseCase:
    """The flights, whose callers send one more column of the entity table, declared like this."""
    declared = load_use_case("flight_delays").model_dump()
    for column in declared["tables"][0]["columns"]:
        if column["name"] == name:
            column.update(type=kind, max_null_share=max_null_share, minimum=None, maximum=None)
    declared["serving"]["request_fields"] += ({"name": name},)
    declared["data_set"]["columns"] += (name,)
    return UseCase.model_validate(declared)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("number", [1.5, 2, -0.0], ["1.5", float("nan"), float("inf"), True, None]),
        ("integer", [1, 1.0, -(2**53) + 1], [1.5, 2**53, 2**53 + 1, 10**400, "1", True]),
        ("boolean", [True, False], [1, 0, "true", None]),
    ],
)
def test_request_fields_of_other_types_are_strict_too(
    kind: str, good: list[Any], bad: list[Any]
) -> None:
    schema = request_schema(with_request_column("distance", kind))
    for value in good:
        assert schema.validate(request(distance=value))[0]["distance"] == value
    for value in bad:
        with pytest.raises(InvalidError) as refused:
            schema.validate(request(distance=value))
        assert refused.value.field == "rows[0].distance"


@settings(max_examples=60, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda c: st.lists(c) | st.dictionaries(st.text(), c),
    )
)
def test_nothing_but_a_refusal_comes_out_of_a_wrong_document(
    schema: RequestSchema, document: Any
) -> None:
    for wrong in ({"rows": document}, {"rows": [document]}):
        with pytest.raises(InvalidError) as refused:
            schema.validate(wrong)
        assert json.loads(refused.value.body())["error"]["field"].startswith("rows")


@pytest.mark.parametrize("kind", ["string", "integer", "number", "boolean", "timestamp"])
def test_a_field_whose_column_may_be_null_may_be_null(kind: str) -> None:
    nullable = request_schema(with_request_column("distance", kind, 0.5))
    assert nullable.validate(request(distance=None))[0]["distance"] is None
    assert "null" in (nullable._valid(("rows", 0, "distance")) or ())
    with pytest.raises(InvalidError):
        request_schema(with_request_column("distance", kind)).validate(request(distance=None))


def test_field_paths() -> None:
    assert field_path(("rows", 0, "carrier")) == "rows[0].carrier"
    assert field_path(()) == ""


def test_the_openapi_example_is_accepted_and_all_references_resolve(schema: RequestSchema) -> None:
    document = openapi_document(
        {"flight_delays": schema}, {"flight_delays": feedback_schema(schema.use_case)}
    )
    assert len(schema.validate(request_example(schema))) == 1
    text = json.dumps(document)
    names = set(document["components"]["schemas"])
    references = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert references <= names
    row = document["components"]["schemas"]["FlightDelaysRow"]
    assert row["additionalProperties"] is False
    assert sorted(row["required"]) == sorted(ROW)
    pattern = re.compile(row["properties"]["asked_at"]["pattern"])
    assert pattern.search(ROW["asked_at"])
    assert not pattern.search("2013-02-29T12:00:00Z")


def test_the_types_of_two_use_cases_never_have_one_name_in_the_document() -> None:
    names = ["a_b", "a__b", "ab", "a_1b", "a1b", "a_b_", "ab_", "a_bc", "ab_c", "abc"]
    case = load_use_case("flight_delays")
    written = [component_name(case.model_copy(update={"name": name})) for name in names]
    assert len(set(written)) == len(names)
    assert component_name(case) == "FlightDelays"
