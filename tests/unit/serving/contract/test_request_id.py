"""A request's own id: its form, and what tells two requests apart."""

from __future__ import annotations

from typing import Any

import pytest

from serving.contract.errors import UnreadableError
from serving.contract.request_id import request_id


def scope(value: bytes | None, path: str = "/v1/models/flight_delays/predict") -> dict[str, Any]:
    headers = [(b"content-type", b"application/json")]
    return {
        "path": path,
        "headers": headers if value is None else [*headers, (b"x-request-id", value)],
    }


def test_without_an_id_nothing_is_computed() -> None:
    assert request_id(scope(None), {"rows": []}) == (None, "")


def test_the_same_request_has_the_same_fingerprint_whatever_the_order_of_its_fields() -> None:
    key, first = request_id(scope(b"order-17:a"), {"a": 1, "b": [2]})
    assert key == "order-17:a"
    assert request_id(scope(b"order-17:a"), {"b": [2], "a": 1})[1] == first
    assert request_id(scope(b"order-17:a"), {"b": [3], "a": 1})[1] != first
    assert (
        request_id(scope(b"order-17:a", "/v1/models/flight_delays/explain"), {"a": 1, "b": [2]})[1]
        != first
    )


@pytest.mark.parametrize("value", [b"", b"a b", "\u00e9".encode(), b"x" * 129, b"a\nb", b"ok\n"])
def test_an_id_of_another_form_is_refused(value: bytes) -> None:
    with pytest.raises(UnreadableError) as caught:
        request_id(scope(value), {})
    assert (caught.value.status, caught.value.code) == (400, "invalid_request_id")
