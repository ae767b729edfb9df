"""All traffic for one version, in two rows: tried by the endpoint first, promoted when it was seen
to serve.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from include.errors import FlightdeckError
from include.processes.approval import actor_of
from include.processes.release_notices import notify_release, settle_promotion
from include.release.approval import Claim
from include.release.ledger import Entry, Ledger
from include.release.packages import restore_package
from include.release.plan import Plan, PlannedArm, read_plan, write_plan
from include.release.rollout.decisions import arms_evidence, champion_arm, decide, plan_of
from include.steps import StepContext

STEP = "promote_version"


@dataclass(frozen=True)
class Promotion:
    """What is promoted instead of which promotion, by which run; `after` is the newest row about
    the traffic when the version was selected.
    """

    context: StepContext
    ledger: Ledger
    claim: Claim
    previous: Entry | None
    after: int | None

    @property
    def is_in_service(self) -> bool:
        """Whether this very version is the one in service since an earlier run."""
        return self.previous is not None and _names(self.previous, self.claim)

    def finished(self) -> Entry | None:
        """The run's own promotion, where an earlier try or another copy came that far."""
        newest = self.ledger.newest(self.claim.use_case)
        if newest is None or newest.event != "promoted" or newest.run != self.claim.run:
            return None
        return newest if _names(newest, self.claim) else None

    def begin(self) -> Plan:
        """Give the version all traffic; where it has it already, the plan of that."""
        newest = self.ledger.newest(self.claim.use_case)
        if newest is not None and _is_try(newest, self.claim):
            plan = plan_of(newest)
            write_plan(self.context.settings, plan)
            return plan
        current = self.settled()
        if current is not None:
            return current
        _, plan = self._decide(
            "traffic", self._arms(), "all traffic, to be seen to serve", {"share": 1.0}
        )
        return plan

    def settled(self) -> Plan | None:
        """The plan in force, where it gives this version all traffic since an earlier run: there
        is nothing to promote then, and nothing to take back.
        """
        if not self.is_in_service:
            return None
        newest = self.ledger.newest(self.claim.use_case)
        with suppress(FlightdeckError):
            plan = read_plan(self.context.settings, self.claim.use_case)
            promoted = newest is not None and newest.event != "traffic"
            if plan is not None and plan.arms == self._arms() and promoted:
                return plan
        return None

    def complete(self, reason: str, evidence: dict[str, Any]) -> Entry:
        """Record the promotion. The plan that was seen to be followed stays in force: another copy
        of this step may still be looking at it.
        """
        entry = self.ledger.append(
            "promoted",
            self.claim.use_case,
            self.claim.version,
            self.claim.digest,
            actor_of(self.context),
            reason,
            {
                **evidence,
                **arms_evidence(self.context.use_case, self._arms()),
                **self._origin(),
            },
            after=self.after,
        )
        settle_promotion(self.context.settings, self.context.use_case, entry)
        return entry

    def take_back(self, reason: str) -> None:
        """Give all traffic to the version before, or to none where this was the first."""
        if self.settled() is not None or self.finished() is not None:
            return
        back = self.previous
        if back is not None:
            # Where no whole copy is left, the endpoint's own serves on.
            with suppress(FlightdeckError):
                restore_package(self.context.settings, back.use_case, back.version, back.digest)
        arms = () if back is None else (champion_arm(back.version, back.digest),)
        evidence = {
            "final": False,
            "back_to": None if back is None else back.version,
            "back_to_digest": None if back is None else back.digest,
        }
        entry, _ = self._decide("rolled_back", arms, reason, evidence)
        notify_release(self.context.settings, self.context.use_case, "rolled_back", entry)

    def _arms(self) -> tuple[PlannedArm, ...]:
        return (champion_arm(self.claim.version, self.claim.digest),)

    def _origin(self) -> dict[str, Any]:
        run = self.context.run
        return {"run": run.as_json(), "about": STEP, "step": f"{STEP}, try {run.try_number}"}

    def _decide(
        self, event: Any, arms: tuple[PlannedArm, ...], reason: str, evidence: dict[str, Any]
    ) -> tuple[Entry, Plan]:
        return decide(
            self.context.settings,
            self.ledger,
            event,
            self.claim.version,
            self.claim.digest,
            use_case=self.context.use_case,
            arms=arms,
            actor=actor_of(self.context),
            reason=reason,
            evidence={**evidence, **self._origin()},
            after=self.after,
        )


def _names(entry: Entry, claim: Claim) -> bool:
    return (entry.version, entry.digest) == (claim.version, claim.digest)


def _is_try(entry: Entry, claim: Claim) -> bool:
    return (entry.event, entry.run, entry.evidence.get("about")) == ("traffic", claim.run, STEP)
