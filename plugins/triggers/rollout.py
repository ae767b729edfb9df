"""Waiting for the next look at a rollout, without a worker slot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, Literal, TypedDict

from airflow.triggers.base import BaseTrigger, TriggerEvent

from include.errors import FlightdeckError
from include.release.plan import plan_path, read_plan
from include.settings import Settings, load_settings

SHARED_SECONDS = 5.0
"""The shortest pause between two looks at a plan that hosts share: each is a request."""


class RolloutEventPayload(TypedDict):
    """Why the wait is over: it is time to look, or another plan is in force."""

    reason: Literal["time", "plan"]


class RolloutTrigger(BaseTrigger):
    """Fires at a moment, or as soon as another plan than the rollout's is in force (a roll-back by
    command must not wait for the next look).

    :param use_case: name of the use case.
    :param sequence: the plan that the stage runs under.
    :param look_at: the moment, ISO 8601 with a time zone.
    :param poke_interval: seconds between two looks at the plan's file.
    """

    def __init__(
        self, *, use_case: str, sequence: int, look_at: str, poke_interval: float = 1.0
    ) -> None:
        super().__init__()
        self.use_case = use_case
        self.sequence = sequence
        self.look_at = look_at
        self.poke_interval = poke_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The class and what it is made with."""
        arguments = {
            "use_case": self.use_case,
            "sequence": self.sequence,
            "look_at": self.look_at,
            "poke_interval": self.poke_interval,
        }
        return ("plugins.triggers.rollout.RolloutTrigger", arguments)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait for either."""
        settings, moment = load_settings(), datetime.fromisoformat(self.look_at)
        stamp: tuple[int, int] | None = None
        shared = settings.models_uri is not None
        pause = max(self.poke_interval, SHARED_SECONDS) if shared else self.poke_interval
        while datetime.now(UTC) < moment:
            newest = _stamp(settings, self.use_case)
            if shared or newest != stamp:
                stamp = newest
                if await asyncio.to_thread(self._is_replaced, settings):
                    yield TriggerEvent(RolloutEventPayload(reason="plan"))
                    return
            await asyncio.sleep(pause)
        yield TriggerEvent(RolloutEventPayload(reason="time"))

    def _is_replaced(self, settings: Settings) -> bool:
        try:
            plan = read_plan(settings, self.use_case)
        except FlightdeckError:
            return False  # a damaged file changes nothing of what serves
        return plan is not None and plan.sequence != self.sequence


def _stamp(settings: Settings, use_case: str) -> tuple[int, int] | None:
    """What changes when the file is replaced."""
    try:
        status = plan_path(settings, use_case).stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns
