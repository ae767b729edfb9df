"""A feature view as every reader of features sees it, offline and online."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class View:
    """What Feast's registry says about one feature view, reduced to the features that a use case
    reads.

    `table_uri` is the Delta table behind it, `ttl` how long a row holds after its timestamp
    (`None`: for ever), `created` the column that says when a row was computed (empty: the view has
    none).
    """

    name: str
    join_keys: tuple[str, ...]
    features: tuple[str, ...]
    timestamp: str
    table_uri: str
    ttl: timedelta | None
    created: str = ""

    def column(self, feature: str) -> str:
        """`<view>__<feature>`."""
        return f"{self.name}__{feature}"
