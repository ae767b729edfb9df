"""Reading JSON by the letter: what is refused, and that nothing valid is."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.contract.body import parse
from serving.contract.errors import UnreadableError

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda children: (
        st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4)
    ),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        (b"", "malformed_json", None),
        (b"{", "malformed_json", None),
        (b'{"a": 1}x', "malformed_json", None),
        (b"{'a': 1}", "malformed_json", None),
        (b'{"a": 1,}', "malformed_json", None),
        (b'{"a": NaN}', "malformed_json", None),
        (b'{"a": -Infinity}', "malformed_json", None),
        (b'{"a": 0x1F}', "malformed_json", None),
        (b'{"a": "\x01"}', "malformed_json", None),
        (b'{"a": ' + b"9" * 5000 + b"}", "malformed_json", None),
        (b"\xff\xfe{\x00}\x00", "invalid_utf8", None),
        (b'{"a": "\xed\xa0\x80"}', "invalid_utf8", None),
        (b'\xef\xbb\xbf{"a": 1}', "malformed_json", None),
        (b'{"\\ud800": 1}', "invalid_unicode", None),
        (b'["\\ud83d"]', "invalid_unicode", None),
        (b"[" * 100_000, "nested_too_deeply", None),
        (b'{"a": 1, "b": 2, "a": 1}', "duplicate_field", "a"),
        (
            b'{"rows": [{"carrier": "AA", "carr\\u0069er": "UA"}]}',
            "duplicate_field",
            "rows[0].carrier",
        ),
    ],
)
def test_what_is_no_strict_json_is_refused_with_400(
    body: bytes, code: str, field: str | None
) -> None:
    with pytest.raises(UnreadableError) as refused:
        parse(body)
    assert (refused.value.status, refused.value.code, refused.value.field) == (400, code, field)
    assert orjson.loads(refused.value.body())["error"]["code"] == code


@pytest.mark.parametrize("number", [-(2**63) - 1, -(2**63), 2**63, 2**64 - 1, 2**64, 10**30])
def test_a_whole_number_stays_one_whatever_its_size(number: int) -> None:
    read = parse(f'{{"a": [{number}]}}'.encode())["a"][0]
    assert (read, type(read)) == (number, int)


@settings(deadline=None)
@given(JSON)
def test_every_json_document_is_read_as_it_was_written(document: Any) -> None:
    assert parse(json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")) == json.loads(
        json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")
    )
