"""Parsing a body: the fast way and the slow way agree, and nothing doubled, infinite or broken gets
through either.
"""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from serving.contract.body import parse
from serving.contract.errors import UnreadableError

TEXTS = [
    "",
    "a",
    "rows",
    "carrier",
    'quo"te',
    "back\\slash",
    "new\nline",
    "é",
    "日本",
    "\x7f",
    "{",
    "}",
    ":",
    ",",
]


def document(random_: random.Random, depth: int) -> Any:
    kind = random_.randrange(7 if depth else 5)
    if kind == 5:
        return [document(random_, depth - 1) for _ in range(random_.randrange(4))]
    if kind == 6:
        return {
            random_.choice(TEXTS): document(random_, depth - 1) for _ in range(random_.randrange(4))
        }
    return [
        None,
        True,
        random_.choice(TEXTS),
        random_.randint(-(2**40), 2**40),
        random_.random() * 1e30,
    ][kind]


@pytest.mark.parametrize("ascii_only", [True, False])
def test_every_document_means_what_json_says(ascii_only: bool) -> None:
    random_ = random.Random(4)
    for _ in range(3000):
        given = document(random_, 4)
        assert parse(json.dumps(given, ensure_ascii=ascii_only).encode()) == given


def doubled(random_: random.Random, value: Any) -> str:
    """The document's text with one more object in it that holds a name twice."""
    name = random_.choice(TEXTS)
    twice = (
        f"{{{json.dumps(name)}: 1, {json.dumps(name, ensure_ascii=False)}: {json.dumps(value)}}}"
    )
    return f'{{"rows": [{json.dumps(value)}, {twice}]}}'


def test_a_doubled_name_is_found_however_it_is_written() -> None:
    random_ = random.Random(5)
    for _ in range(2000):
        with pytest.raises(UnreadableError) as refused:
            parse(doubled(random_, document(random_, 3)).encode())
        assert refused.value.code == "duplicate_field"
        assert (refused.value.field or "").startswith("rows[1]")


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        (b'{"a": 1, "\\u0061": 2}', "duplicate_field", "a"),
        (b'{"rows": [{}, {"a": {"b": 1, "b": 1}}]}', "duplicate_field", "rows[1].a.b"),
        (b"NaN", "malformed_json", None),
        (b"[-Infinity]", "malformed_json", None),
        (b"\xff", "invalid_utf8", None),
        (b'"\\ud800"', "invalid_unicode", None),
        (b"", "malformed_json", None),
        (b"{} {}", "malformed_json", None),
        (b"[" * 100_000, "nested_too_deeply", None),
        (b"\xef\xbb\xbf{}", "malformed_json", None),
    ],
)
def test_what_is_not_json_is_refused(body: bytes, code: str, field: str | None) -> None:
    with pytest.raises(UnreadableError) as refused:
        parse(body)
    assert (refused.value.code, refused.value.field) == (code, field)
