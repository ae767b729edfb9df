"""The policy is what a specification says about rows whose features are unknown, stale or newer
than the question: answer and flag them, or refuse the request.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from include.errors import DataError
from include.features.online.store import LookedUp
from include.spec import UseCase
from serving.contract.errors import InvalidError, UnanswerableError


class OneIsRefusedError(Exception):
    """A batch of several requests holds one that must be refused: answer each alone."""


@dataclass(frozen=True)
class _Refusal:
    """What one kind of feature is refused with; `views` go into `text`."""

    code: str
    text: str
    valid: str


UNKNOWN = _Refusal(
    "unknown_entity",
    "the online store holds no features of {views} for this row's keys",
    "a known entity",
)
STALE = _Refusal(
    "stale_features",
    "the features of {views} are older than their time to live at the event time",
    "an event time near the newest features",
)
NEWER = _Refusal(
    "newer_features",
    "the features of {views} are later than the event time, when nobody knew them",
    "an event time that is not before the newest features (batch scoring answers about the past)",
)


def unscorable(error: DataError, questions: int) -> Exception:
    """Return what to raise for values that a model must not be asked with, such as a feature that a
    32-bit float cannot hold; for a batch of several requests `OneIsRefusedError`.
    """
    if questions > 1:
        return OneIsRefusedError()
    return InvalidError(422, "unscorable_value", str(error), None, ["the row's own features"])


def contract_changed(error: KeyError, columns: Sequence[str]) -> Exception:
    """Return what to raise for rows that lack a column which the version reads: they were checked
    for the version before, which the plan has replaced meanwhile.
    """
    name = error.args[0] if error.args else None
    if name not in columns:
        return error
    return UnanswerableError(
        503,
        "contract_changed",
        f"Another version came into service while this was answered, which asks for {name!r} too;"
        " send the request again as GET /docs.json describes it now.",
        str(name),
    )


def refuse_by_policy(use_case: UseCase, lookup: LookedUp, row_counts: Sequence[int]) -> None:
    """Raise `InvalidError` naming the first row that the policy refuses; for a batch of several
    requests `OneIsRefusedError`.
    """
    serving = use_case.serving
    refused = [
        (refusal, views_by_row)
        for policy, refusal, views_by_row in (
            (serving.unknown_entities, UNKNOWN, lookup.unknown),
            (serving.stale_features, STALE, lookup.stale),
            (serving.newer_features, NEWER, lookup.newer),
        )
        if policy == "refuse"
    ]
    if not refused:
        return
    for row in range(len(lookup.features)):
        for refusal, views_by_row in refused:
            if not views_by_row[row]:
                continue
            if len(row_counts) > 1:
                raise OneIsRefusedError
            text = refusal.text.format(views=", ".join(views_by_row[row]))
            raise InvalidError(
                422,
                refusal.code,
                f"rows[{row}]: {text}, and {use_case.name} refuses such rows.",
                f"rows[{row}]",
                [refusal.valid, "the row's own features"],
            )
