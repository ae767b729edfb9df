"""Orders of half a year, as somebody has them in a file."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import polars as pl

START = datetime(2023, 1, 1, tzinfo=UTC)
DAYS = 180


def orders(count: int = 6000) -> pl.DataFrame:
    """A row per order: a key, a time, a shop, what is known of it, and three kinds of label."""
    draw = random.Random(3)
    rows = []
    for number in range(count):
        shop, size = draw.choice("abcdefgh"), draw.gauss(50, 15)
        late = draw.random() < 0.2 + 0.4 * (shop in "ab") + 0.003 * (size - 50)
        at = START + timedelta(days=DAYS * number / count)
        rows.append(
            {
                "order_id": f"o{number}",
                "ordered_at": at,
                "shop": f"shop {shop}",
                "size": None if draw.random() < 0.03 else round(size, 2),
                "items": draw.randint(1, 9),
                "express": draw.random() < 0.3,
                "channel": draw.choice(["web", "phone", "store"]),
                "note": f"text {number} {draw.random()}",
                "due_at": at + timedelta(days=2),
                "late": int(late),
                "price": round(size * 2 + draw.gauss(0, 9), 2),
                "grade": draw.choice(["low", "mid", "mid", "high"]),
            }
        )
    return pl.DataFrame(rows).with_columns(pl.col(pl.Datetime).dt.cast_time_unit("us"))
