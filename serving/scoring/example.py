"""An example is a real row of the model's own data, asked about at a moment at which the online
store answers it without a flag.

The package brings requests of its test split. They are old, and the store holds the newest values
only: so each is moved to the event time of its newest feature row, its other times with it, and the
one that is answered best is taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from include.features.online.store import OnlineFeatures
from serving.contract.errors import InvalidError
from serving.contract.schema import RequestSchema
from serving.scoring.batch import row_flags
from serving.scoring.lookup import gather_features
from serving.scoring.served_model import ServedModel

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Example:
    """A row as a caller sends it, the features that the store gives it, and the flags that its
    answer carries.
    """

    row: dict[str, Any]
    features: dict[str, Any]
    flags: list[str]


def find_example(
    schema: RequestSchema, served: ServedModel, online: OnlineFeatures
) -> Example | None:
    """Return the row with the fewest flags, and of those with the fewest missing features; `None`
    where the package brings no row that the schema accepts.

    Runs where look-ups run; a store that cannot be read raises what a look-up raises.
    """
    best: Example | None = None
    for row in _moved_rows(schema, served, online):
        example = _looked_up(schema, served, online, row)
        if best is None or _blemishes(example) < _blemishes(best):
            best = example
        if _blemishes(best) == (0, 0):
            break
    return best


def _moved_rows(
    schema: RequestSchema, served: ServedModel, online: OnlineFeatures
) -> Iterator[dict[str, Any]]:
    rows = [
        row
        for request in _requests(schema, served.model.golden)
        if (row := _accepted(schema, request)) is not None
    ]
    for row, newest in zip(rows, online.newest(rows), strict=True):
        yield row if newest is None else _moved(schema, row, newest)


def _requests(schema: RequestSchema, golden: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The package's requests; of a package from before they were in it, what its golden rows
    hold.
    """
    if "requests" in golden:
        return list(golden["requests"])
    names = [name for name in schema.types if name != schema.use_case.id_column]
    if any(schema.use_case.privacy(name) != "clear" for name in names):
        return []
    return [{name: row.get(name) for name in names} for row in golden["rows"]]


def _accepted(schema: RequestSchema, request: Mapping[str, Any]) -> dict[str, Any] | None:
    try:
        return schema.validate({"rows": [request]})[0]
    except InvalidError:
        return None


def _moved(schema: RequestSchema, row: Mapping[str, Any], newest: datetime) -> dict[str, Any]:
    asked_at = newest.replace(second=0, microsecond=0)
    asked_at += MINUTE if asked_at < newest else timedelta(0)
    by = asked_at - row[schema.use_case.event_time]
    return {
        name: value + by if schema.types.get(name) == "timestamp" and value is not None else value
        for name, value in row.items()
    }


def _looked_up(
    schema: RequestSchema, served: ServedModel, online: OnlineFeatures, row: dict[str, Any]
) -> Example:
    lookup = gather_features(schema.use_case, online, [row])
    (features,) = lookup.features
    unseen = served.scorer.rows.unseen({**features, **row})
    return Example(
        {name: _as_json(value) for name, value in row.items() if name != schema.use_case.id_column},
        {name: _as_json(features[name]) for name in schema.features},
        row_flags(lookup.unknown[0], lookup.stale[0], lookup.newer[0], unseen),
    )


def _blemishes(example: Example) -> tuple[int, int]:
    return len(example.flags), sum(value is None for value in example.features.values())


def _as_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value
