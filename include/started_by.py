"""Why a run started, in words: the same sentence in Airflow's notes and logs, on MLflow's pages, in
the commands and in the ledger of releases.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

WORDS: dict[str, str] = {
    "schedule": "Scheduled",
    "scheduled": "Scheduled",
    "backfill": "Backfill",
    "new_data": "New labels",
    "alarm": "Alarm",
    "manual": "Started by hand",
    "event": "Asset event",
    "asset": "Asset event",
    "operator": "Started by another run",
    "local": "Run outside Airflow",
}
"""For each kind of cause, and for what Airflow says of a run that has none."""

UNNAMED = {"schedule": "the schedule", "scheduled": "the schedule", "backfill": "a backfill"}
UNKNOWN = "unknown"
NOT_WHO = ("", "nobody")
"""What MLflow's tag `flightdeck.triggered_by` holds where no person started the run; "nobody" in
runs of before.
"""


def sentence_of(cause: Mapping[str, Any]) -> str:
    """Say why a run started: what happened, who saw it, and the reason.

    `cause` is `Cause.as_json()`, or `kind` and `who` alone.
    """
    kind = str(cause.get("kind"))
    started = f"{words_of([kind])} ({cause.get('who') or UNNAMED.get(kind, UNKNOWN)})"
    return f"{started}: {cause['reason']}" if cause.get("reason") else started


def sentences_of(causes: Iterable[Mapping[str, Any]], trigger: str, who: str) -> tuple[str, ...]:
    """A sentence for each cause that the run consumed; for a run without any, what Airflow says:
    its `trigger`, and the user (or the events) as `who`.
    """
    consumed = tuple(sentence_of(cause) for cause in causes if cause.get("kind"))
    known = None if who in NOT_WHO else who
    return consumed or (sentence_of({"kind": trigger, "who": known}),)


def sentences_of_tags(tags: Mapping[str, str]) -> tuple[str, ...]:
    """The sentences of a run in MLflow, by its tags."""
    return sentences_of(
        causes_of_tags(tags),
        tags.get("flightdeck.trigger", UNKNOWN),
        tags.get("flightdeck.triggered_by", ""),
    )


def causes_of_tags(tags: Mapping[str, str]) -> list[Mapping[str, Any]]:
    """The causes that a run in MLflow holds; none where the tag was cut and is no JSON any more."""
    try:
        causes = json.loads(tags.get("flightdeck.causes", "[]"))
    except ValueError:
        return []
    return [cause for cause in causes if isinstance(cause, dict)]


def who_started(causes: Iterable[Mapping[str, Any]], trigger: str, user: str) -> str:
    """The user who started a run; without one whoever saw its causes, or what stands for them."""
    seen = [str(cause["who"]) for cause in causes if cause.get("who")]
    return user or "+".join(dict.fromkeys(seen)) or UNNAMED.get(trigger, UNKNOWN)


def words_of(kinds: Sequence[str]) -> str:
    """The kinds of a run's causes, for a name or a column: "Alarm, New labels"."""
    return ", ".join(WORDS.get(kind, kind) for kind in kinds)


def events_of(sources: Iterable[tuple[str, str | None]]) -> str:
    """Who started a run by asset events: each asset with the DAG whose task emitted the event."""
    return ", ".join(sorted({f"{asset} of {dag or 'the API'}" for asset, dag in sources}))
