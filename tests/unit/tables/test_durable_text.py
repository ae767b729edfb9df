"""What callers write in a table does not stop it from being made durable."""

from __future__ import annotations

import polars as pl
import pytest

from include.tables.store import TableStore


@pytest.mark.parametrize("sign", ["\u0085", "\u2028", "\x1c", "\n", "\r"])
def test_text_with_any_end_of_line_is_appended(sign: str, root: str) -> None:
    tables = TableStore(root)
    tables.replace_all("log", pl.DataFrame({"text": [f"a{sign}b"]}))
    assert tables.read("log")["text"].to_list() == [f"a{sign}b"]
