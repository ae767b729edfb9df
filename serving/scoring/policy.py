"""The policy is what a specification says about rows whose features are unknown or stale: count
them as missing, or refuse the request.
"""

from __future__ import annotations

from collections.abc import Sequence

from include.features.online.store import LookedUp
from include.spec import UseCase
from serving.contract.errors import InvalidError


class OneIsRefusedError(Exception):
    """A batch of several requests holds one that must be refused: answer each alone."""


def refuse_by_policy(use_case: UseCase, lookup: LookedUp, row_counts: Sequence[int]) -> None:
    """Raise `InvalidError` naming the first row that the policy refuses; for a batch of several
    requests `OneIsRefusedError`.
    """
    serving = use_case.serving
    if serving.unknown_entities == "default" and serving.stale_features == "default":
        return
    for row, (unknown, stale) in enumerate(zip(lookup.unknown, lookup.stale, strict=True)):
        refusal = None
        if unknown and serving.unknown_entities == "refuse":
            refusal = (
                "unknown_entity",
                f"the online store holds no features of {', '.join(unknown)} for this row's keys",
            )
        elif stale and serving.stale_features == "refuse":
            refusal = (
                "stale_features",
                (
                    f"the features of {', '.join(stale)} are older than their time to live at the"
                    " event time"
                ),
            )
        if refusal is not None:
            if len(row_counts) > 1:
                raise OneIsRefusedError
            code, text = refusal
            valid = [
                (
                    "a known entity"
                    if code == "unknown_entity"
                    else "an event time near the newest features"
                ),
                "the row's own features",
            ]
            raise InvalidError(
                422,
                code,
                f"rows[{row}]: {text}, and {use_case.name} refuses such rows.",
                f"rows[{row}]",
                valid,
            )
