"""What feature_repo/shared.py spares a file of definitions to write."""

from __future__ import annotations

from datetime import timedelta

import pytest
from feast.types import Float64, Int64, String

from feature_repo.shared import key, view


def test_a_view_lies_over_its_table_with_both_timestamps_and_its_keys(
    monkeypatch: pytest.MonkeyPatch,
):
    shop, city = key("shop_id", "A shop.", kind=Int64, name="shop"), key("city", "A city.")
    fields = {"rate": (Float64, "A share.")}
    for root in ("/one", "/two/"):  # the variable as it is when the view is made
        monkeypatch.setenv("FLIGHTDECK_TABLES_URI", root)
        daily = view("shop_daily", [shop, city], ttl=timedelta(days=3), fields=fields)
        assert daily.batch_source.path == f"{root.rstrip('/')}/features/shop_daily"
    assert daily.batch_source.timestamp_field == "event_timestamp"
    assert daily.batch_source.created_timestamp_column == "created_timestamp"
    columns = {column.name: column.dtype for column in daily.schema}
    assert columns == {"shop_id": Int64, "city": String, "rate": Float64}
    assert [column.name for column in daily.features] == ["rate"]
