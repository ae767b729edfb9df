"""The columns of the declared tables as text, each limit below the figure that it comes from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from textwrap import wrap

from cli.authoring.bounds import bounds, year_bounds
from cli.authoring.measured import Limits
from cli.authoring.profile import CATEGORIES, ColumnProfile, Profile
from cli.authoring.proposal import Roles
from include.quality.history import Proposal

COMMENT_WIDTH = 84
ROWS_OF_A_CATEGORY = 50
DAYS_OF_A_YEAR = 366


def comment(text: str, indent: int = 8) -> str:
    """The text as comments of at most a line's length each."""
    return "\n".join(f"{' ' * indent}# {line}" for line in wrap(text, COMMENT_WIDTH))


def _column(
    column: ColumnProfile,
    rows: int,
    limits: Mapping[str, Proposal],
    roles: Roles,
) -> str:
    fields = {"name": repr(column.name), "type": repr(column.type)}
    reasons = []
    if column.name not in roles.needed and column.null_share:
        twice = math.ceil(column.null_share * 200 + 1) / 100
        half = math.ceil(column.null_share * 50 + 50) / 100
        fields["max_null_share"] = f"{min(twice, half):g}"
        tolerated = "twice that and 0.01 are tolerated"
        if half < twice:
            tolerated = "half of the values that are there may be missing too"
        reasons.append(f"{column.null_share:.2%} nulls, {tolerated}")
    if column.minimum is not None and column.maximum is not None and not column.is_identifier(rows):
        low, high, added = year_bounds(column) if _is_year(column, roles) else bounds(column)
        fields |= {"minimum": f"{low:g}", "maximum": f"{high:g}"}
        reasons.append(f"{column.minimum:g} to {column.maximum:g}{added}")
    most = min(CATEGORIES, rows // ROWS_OF_A_CATEGORY)
    if column.type == "string" and 1 < column.distinct <= most:
        fields |= {"categories": repr(column.values), "unseen_share": "0.01"}
        reasons.append(f"{column.distinct} values")
    fields |= {name: proposal.proposed for name, proposal in limits.items()}
    text = f"        Column({', '.join(f'{name}={value}' for name, value in fields.items())}),"
    remarks = [f"In {rows:,} rows: {'; '.join(reasons)}."] if reasons else []
    if limits:
        remarks.append(f"Between intervals: {figures(limits)}.")
    return f"{comment(' '.join(remarks))}\n{text}" if remarks else text


def _is_year(column: ColumnProfile, roles: Roles) -> bool:
    """Whether it is a year of the time."""
    return column in roles.calendar and (column.maximum or 0.0) > DAYS_OF_A_YEAR


def question_columns(profile: Profile, roles: Roles, limits: Limits, table: str) -> str:
    """The columns of the questions: all but the label."""
    return "\n".join(
        _column(column, profile.rows.height, limits.get(f"{table}.{column.name}", {}), roles)
        for column in profile.columns
        if column.name != roles.label
    )


def label_columns(profile: Profile, roles: Roles, limits: Limits, table: str) -> str:
    """The columns of the labels: key, entity, when it was known, and the label."""
    key, entity, label = (
        _column(
            profile.column(name, option),
            profile.rows.height,
            limits.get(f"{table}.{name}", {}),
            roles,
        )
        for name, option in (
            (roles.key, "--key"),
            (roles.entity, "--entity"),
            (roles.label, "--label"),
        )
    )
    moment = '        Column(name="known_at", type="timestamp"),'
    return "\n".join(dict.fromkeys((key, entity, moment, label)))


def figures(limits: Mapping[str, Proposal]) -> str:
    """Each limit with the figure that it comes from."""
    return "; ".join(f"{name} {proposal.figure}" for name, proposal in limits.items())
