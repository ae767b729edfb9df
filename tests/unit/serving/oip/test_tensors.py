"""Tensors: what was written comes back, and bytes that do not fit are refused by
the tensor's name.
"""

from __future__ import annotations

from typing import Any

import pytest

from include.catalogue import load_use_case
from serving.contract.errors import InvalidError
from serving.contract.schema import request_schema
from serving.oip.interface import BY_FEATURES, interfaces
from serving.oip.tensors import InferRequest, InputTensor, TensorSpec, to_bytes, values_of

VALUES: dict[str, list[Any]] = {
    "BYTES": ["AA", "", "日本"],
    "FP64": [1.5, -1e38, 0.0],
    "INT64": [2**53, -1, 0],
    "BOOL": [True, False, True],
}


@pytest.mark.parametrize("datatype", VALUES)
@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_raw_and_listed_elements_are_the_same(datatype: str, shape: tuple[int, ...]) -> None:
    spec, values = TensorSpec("x", datatype), VALUES[datatype]
    assert (
        values_of(InputTensor("x", datatype, shape, raw=to_bytes(datatype, values)), spec) == values
    )
    assert values_of(InputTensor("x", datatype, shape, listed=values), spec) == values


@pytest.mark.parametrize(
    "tensor",
    [
        InputTensor("x", "BYTES", (2,), raw=b"\x05\x00\x00\x00AA"),
        InputTensor("x", "BYTES", (2,), raw=b"\x02\x00\x00\x00AA"),
        InputTensor("x", "BYTES", (1,), raw=b"\x01\x00\x00\x00\xff"),
        InputTensor("x", "BYTES", (1,), raw=b"\x01\x00"),
        InputTensor("x", "BYTES", (2**31,), listed=["AA"]),
        InputTensor("x", "BYTES", (1, 2), listed=["AA", "BB"]),
        InputTensor("x", "BYTES", (-1,), listed=["AA"]),
        InputTensor("x", "BYTES", (), listed=["AA"]),
        InputTensor("x", "FP64", (1,), listed=[1.0]),
    ],
)
def test_what_does_not_fit_is_refused_by_name(tensor: InputTensor) -> None:
    with pytest.raises(InvalidError) as refused:
        values_of(tensor, TensorSpec("x", "BYTES"))
    assert (refused.value.field or "").startswith("x")


def test_nan_is_a_missing_feature_and_infinity_is_refused() -> None:
    model = interfaces({"flight_delays": request_schema(load_use_case("flight_delays"))})[
        f"flight_delays{BY_FEATURES}"
    ]
    given: dict[str, Any] = {"carrier": "AA", "origin": "JFK", "dest": "LAX", "tailnum": ""}
    given |= {"scheduled_departure": "2013-06-30T21:00:00Z", "asked_at": "2013-06-30T18:00:00Z"}
    features = {name: float("nan") for name in model.features}

    def request(values: dict[str, Any]) -> InferRequest:
        return InferRequest(
            [
                InputTensor(name, model.inputs[name].datatype, (1,), listed=[value])
                for name, value in values.items()
            ]
        )

    (row,) = model.rows(request({**given, **features}))
    assert row["tailnum"] is None
    assert set(row["features"].values()) == {None}
    worst = min(features)
    with pytest.raises(InvalidError) as refused:
        model.rows(request({**given, **features, worst: float("inf")}))
    assert refused.value.field == f"{worst}[0]"
