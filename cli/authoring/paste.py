"""Proposed limits as lines for a specification: each below the figure that it comes from."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence

from include.quality.history import Proposal
from include.spec import UseCase

WIDTH = 76
"""Characters of a comment; indented by four it fits 80 columns."""
CHECKS = "data_checks"


def pasted(use_case: UseCase, proposals: Sequence[Proposal]) -> Iterator[str]:
    """The lines, by the part of the specification that they belong to; nothing without a
    proposal.

    A limit of `data_checks` is one for all columns: the largest that any of them asks for. One that
    no finite limit would pass is a comment.
    """
    parts: dict[str, dict[str, Proposal]] = {}
    for item in proposals:
        fields = parts.setdefault(item.where.partition(" ")[0], {})
        former = fields.get(item.field)
        if former is None or float(item.proposed) > float(former.proposed):
            fields[item.field] = item
    for where, fields in parts.items():
        yield f"# {_place(use_case, where)}"
        for item in fields.values():
            yield from textwrap.wrap(
                f"{item.figure}.", WIDTH, initial_indent="# ", subsequent_indent="# "
            )
            if math.isfinite(float(item.proposed)):
                yield f"{item.field}={item.proposed},"
            else:
                yield f"# No {item.field} lets it pass; was {item.declared}."


def _place(use_case: UseCase, where: str) -> str:
    """Where in spec.py the lines go."""
    if where == "problem":
        return f"problem={type(use_case.problem).__name__}(...)"
    if where == "gates":
        return "gates=Gates(...)"
    if where == "monitoring":
        return "monitoring=Monitoring(...)"
    if where == CHECKS:
        return "data_checks=DataChecks(...)"
    table, _, column = where.partition(".")
    name = f'Table(name="{table}", ...)'
    return f'Column(name="{column}", ...) of {name}' if column else name
