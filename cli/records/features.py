"""The command `features`: the feature views, and the statistics of their values by interval."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Annotated, Any

import polars as pl
import typer

from cli.lazy import new_application
from cli.platform.state import running_settings
from cli.records.answers import AsJson, print_answer
from cli.tables import print_facts, print_table
from include.catalogue import load_valid
from include.errors import SpecError
from include.features.entities import entity_named, shared_entities
from include.features.statistics import read_statistics, statistics_table
from include.settings import Settings
from include.spec import FeatureTable
from include.spec.base import suggestion
from include.tables.store import TableStore

SHOWN = ("rows", "nulls", "mean", "sd", "q05", "median", "q95")
NUMBERS = frozenset(SHOWN[2:])
MOST_COMMON = 2
"""Of a text so many values are shown on its line."""

application = new_application(no_args_is_help=True)


@application.callback()
def _features() -> None:
    """List the entities and feature views, and show statistics of their values."""


@application.command("entities")
def list_entities(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(metavar="[ENTITY]", help="One, by its name or key, with its features."),
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Print whom features are about: each entity, who uses it, and what there is of it.

    A use case whose rows have the key of an entity may declare the entity alike, and take the
    features that others compute about it as inputs.
    """
    valid, refused = load_valid()
    for reason in refused.values():
        print(reason, file=sys.stderr)
    entities = shared_entities(_settings(context), valid.values())
    if name is None:
        answer = [each.as_json() for each in entities]
        print_answer(answer, _show_entities, as_json=as_json)
    else:
        print_answer(entity_named(entities, name).as_json(), _show_entity, as_json=as_json)


def _show_entities(answer: Any) -> None:
    print_table(
        "Entities",
        ("entity", "key", "type", "views", "used by", "about"),
        (
            (
                row["name"],
                row["join_key"],
                row["type"],
                len(row["views"]),
                ", ".join(row["use_cases"]),
                row["description"],
            )
            for row in answer
        ),
        nothing="feature_repo defines none",
        prose=("used by", "about"),
    )


def _show_entity(answer: Any) -> None:
    facts = {
        "Key": f"{answer['join_key']}, {answer['type']}",
        "About": answer["description"],
        "Declared in": ", ".join(f"feature_repo/{file}" for file in answer["files"]),
        "Used by": ", ".join(answer["use_cases"]),
    }
    print_facts(f"Entity {answer['name']}", facts)
    owners = _views()
    print_table(
        "Features about it",
        ("view", "computed by", "features"),
        (
            (view, owners[view][1] if view in owners else None, ", ".join(features))
            for view, features in answer["views"].items()
        ),
        prose=("features",),
    )


@application.command("list")
def list_views(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Print one line per feature view: who computes it, and the newest interval of it."""
    tables = TableStore(_settings(context).tables_uri)
    answer = [
        {
            "view": part.view,
            "use_case": owner,
            "table": part.table,
            "statistics": statistics_table(part.view),
            "features": sorted(set(rows["feature"])),
            "until": str(rows["interval_end"].max() or ""),
        }
        for part, owner in _views().values()
        for rows in (read_statistics(tables, part.view),)
    ]

    def show(answer: Any) -> None:
        print_table(
            "Feature views",
            ("view", "computed by", "features", "until"),
            (
                (row["view"], row["use_case"], len(row["features"]), row["until"][:16])
                for row in answer
            ),
        )

    print_answer(answer, show, as_json=as_json)


@application.command("stats")
def show_statistics(
    context: typer.Context,
    view: Annotated[str, typer.Argument(metavar="VIEW", help="A feature view.")],
    *,
    feature: Annotated[
        str | None, typer.Option(metavar="NAME", help="One feature, over its intervals.")
    ] = None,
    last: Annotated[
        int,
        typer.Option(metavar="N", min=1, help="With --feature: how many intervals up to the last."),
    ] = 12,
    as_json: AsJson = False,
) -> None:
    """Print statistics of a view's values: of every feature in the newest interval, or of one."""
    tables = TableStore(_settings(context).tables_uri)
    views = _views()
    if view not in views:
        raise SpecError(f"There is no feature view {view!r}{suggestion(view, views)}")
    rows = read_statistics(tables, view, 1 if feature is None else last)
    names = list(dict.fromkeys(rows["feature"]))
    if feature is not None:
        if names and feature not in names:
            raise SpecError(
                f"The feature view {view!r} has no feature {feature!r}{suggestion(feature, names)}"
            )
        rows = rows.filter(pl.col("feature") == feature)
    answer = [{**row, "top": json.loads(row.pop("top_json") or "{}")} for row in rows.to_dicts()]
    first = "feature" if feature is None else "from"

    def show(answer: Any) -> None:
        until = f", up to {answer[-1]['interval_end']:%Y-%m-%d %H:%M}" if answer else ""
        print_table(
            f"{view if feature is None else f'{view}:{feature}'}{until}",
            (first, *SHOWN),
            (_line(row, by_feature=feature is None) for row in answer),
            nothing="no interval of it has been computed",
        )

    print_answer(answer, show, as_json=as_json)


def _line(row: Mapping[str, Any], *, by_feature: bool) -> list[Any]:
    first = row["feature"] if by_feature else f"{row['interval_start']:%Y-%m-%d %H:%M}"
    cells = [_shown(row[name]) if name in NUMBERS else row[name] for name in SHOWN]
    if row["top"]:
        common = list(row["top"].items())[:MOST_COMMON]
        cells[2] = ", ".join(f"{text} {share:.0%}" for text, share in common)
    return [first, *cells]


def _shown(value: float | None) -> str | None:
    return None if value is None else f"{value:.4g}"


def _views() -> dict[str, tuple[FeatureTable, str]]:
    """By name, what the use cases compute and which one does."""
    valid, refused = load_valid()
    for reason in refused.values():
        print(reason, file=sys.stderr)
    return {
        part.view: (part, use_case.name)
        for use_case in valid.values()
        for part in use_case.own_feature_tables
    }


def _settings(context: typer.Context) -> Settings:
    return context.find_object(Settings) or running_settings()
