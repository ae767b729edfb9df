"""One stage of one release: what it knows, how it moves traffic, and how it takes it back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from include.errors import LateStep, ReleaseError
from include.processes.approval import actor_of, claim_of
from include.processes.release_notices import notify_release
from include.processes.release_results import StageName
from include.processes.results import PackageVerdict, SelectedVersion
from include.release.approval import Claim
from include.release.followers import wait_until_followed
from include.release.ledger import Entry, Ledger
from include.release.plan import Plan, write_plan
from include.release.reconcile import require_sound_ledger
from include.release.rollout.conditions import Outcome
from include.release.rollout.decisions import arms_of_stage, champion_arm, decide
from include.release.rollout.stages import Stage, stage_named
from include.steps import StepContext
from include.verdict import Verdict

FOLLOWED_SECONDS = 120.0


@dataclass(frozen=True)
class Rollout:
    """One stage of one release: what is released instead of which promotion, by which run."""

    context: StepContext
    ledger: Ledger
    claim: Claim
    stage: Stage
    after: int | None
    champion: Entry | None

    @property
    def nothing_to_compare(self) -> str:
        """Why the stage has nothing to do; empty where it has."""
        if self.champion is None:
            return "no version serves yet: there is nothing to compare with"
        if (self.champion.version, self.champion.digest) == (self.claim.version, self.claim.digest):
            return f"version {self.champion.version} is the one in service"
        return ""

    def evidence(self, step: str, **more: Any) -> dict[str, Any]:
        """What every row of the stage says of its origin."""
        return {"run": self.context.run.as_json(), "about": self.stage.name, "step": step, **more}

    def own_traffic(self) -> Entry:
        """The stage's newest row about traffic; raises `LateStep` when another run or command has
        changed the traffic since.
        """
        name = self.claim.use_case
        newest = self.ledger.newest(name)
        if newest is not None and newest.event == "traffic" and newest.run == self.claim.run:
            return newest
        who = "nobody" if newest is None else f"{newest.actor} ({newest.event}: {newest.reason})"
        raise LateStep(
            f"The rollout of version {self.claim.version} of {name} has ended: the traffic was"
            f" changed by {who}."
        )

    def run_traffic(self) -> list[Entry]:
        """The run's rows about traffic until now, oldest first."""
        rows = self.ledger.rows(self.claim.use_case)
        return [row for row in rows if row.event == "traffic" and row.run == self.claim.run]

    def stage_traffic(self) -> list[Entry]:
        """Those of the stage."""
        return [row for row in self.run_traffic() if row.evidence.get("about") == self.stage.name]


def end_unwatched(context: StepContext, reason: str) -> Entry | None:
    """Give all traffic back to the champion where this run's rollout is what serves; None where it
    is not, or where nothing served before it.
    """
    name, ledger = context.use_case.name, Ledger(context.settings)
    newest, champion = ledger.newest(name), ledger.current(name)
    own = f"{context.run.process}/{context.run.run_id}"
    if newest is None or champion is None or (newest.event, newest.run) != ("traffic", own):
        return None
    entry, _ = decide(
        context.settings,
        ledger,
        "rolled_back",
        newest.version,
        newest.digest,
        use_case=context.use_case,
        arms=(champion_arm(champion.version, champion.digest),),
        actor=actor_of(context),
        reason=reason,
        evidence={
            "run": context.run.as_json(),
            "step": f"unwatched, after {newest.number}",
            "final": False,
            "back_to": champion.version,
            "back_to_digest": champion.digest,
        },
        after=newest.number,
    )
    notify_release(context.settings, context.use_case, "rolled_back", entry)
    return entry


def take_back(rollout: Rollout, reason: str, verdict: Verdict, *, final: bool = True) -> Entry:
    """Give all traffic back to the champion, record why, and see that every process follows.

    What is not final (a process did not follow) may be tried again by the same run.
    """
    claim, champion = rollout.claim, rollout.champion
    if champion is None:
        raise ReleaseError(f"{claim.use_case} has no version to give the traffic back to: {reason}")
    entry, plan = decide(
        rollout.context.settings,
        rollout.ledger,
        "rolled_back",
        claim.version,
        claim.digest,
        use_case=rollout.context.use_case,
        arms=(champion_arm(champion.version, champion.digest),),
        actor=actor_of(rollout.context),
        reason=reason,
        evidence=rollout.evidence(
            f"{rollout.stage.name} taken back, try {rollout.context.run.try_number}",
            final=final,
            back_to=champion.version,
            back_to_digest=champion.digest,
            verdict=verdict.model_dump(mode="json"),
        ),
        after=rollout.after,
    )
    try:
        follow(rollout.context, plan)
    finally:
        notify_release(rollout.context.settings, rollout.context.use_case, "rolled_back", entry)
    return entry


def follow(context: StepContext, plan: Plan) -> None:
    """Put a plan in force, if it is not, and see every endpoint process follow it."""
    write_plan(context.settings, plan)
    wait_until_followed(context.settings, plan, seconds=FOLLOWED_SECONDS)


def rollout_of(
    context: StepContext, selected: SelectedVersion, verdict: PackageVerdict, stage: StageName
) -> Rollout:
    """The stage of that name of this run's release.

    Raises `LedgerBroken`, and `LateStep` when another run or command has changed the traffic since
    the version was selected.
    """
    if (verdict.version, verdict.digest) != (selected.version, selected.digest):
        raise ReleaseError(
            f"Checked was version {verdict.version}, selected is {selected.version}: start the"
            " deployment again."
        )
    require_sound_ledger(context.settings)
    ledger = Ledger(context.settings)
    claim = claim_of(context, selected.version, selected.digest)
    champion = ledger.promotion_before(
        claim.use_case, selected.after, claim.version, claim.digest, run=claim.run
    )
    return Rollout(
        context=context,
        ledger=ledger,
        claim=claim,
        stage=stage_named(context.use_case.release, stage.name),
        after=selected.after,
        champion=champion,
    )


def shift(rollout: Rollout, share: float, step: str, why: str) -> Entry:
    """Put a plan in force that gives the challenger a share; raises after taking it back where a
    process does not follow.
    """
    claim, champion = rollout.claim, rollout.champion
    if champion is None:
        raise ReleaseError(
            f"{claim.use_case} has no champion beside which a version could be tried."
        )
    arms, shadow = arms_of_stage(
        champion,
        claim.version,
        claim.digest,
        share,
        kind=rollout.context.use_case.release.strategy.kind,
    )
    entry, plan = decide(
        rollout.context.settings,
        rollout.ledger,
        "traffic",
        claim.version,
        claim.digest,
        use_case=rollout.context.use_case,
        arms=arms,
        shadow=shadow,
        actor=actor_of(rollout.context),
        reason=f"{100 * share:g} % for version {claim.version}: {why}",
        evidence=rollout.evidence(step, share=share),
        after=rollout.after,
    )
    try:
        follow(rollout.context, plan)
    except ReleaseError as error:
        take_back(rollout, str(error), Verdict(), final=False)
        raise
    return entry


def record(
    rollout: Rollout, outcome: Outcome, verdict: Verdict, reason: str, evidence: dict[str, Any]
) -> Entry:
    """Add the stage's verdict to the ledger, by which the next task may begin or not."""
    return rollout.ledger.append(
        "verdict",
        rollout.claim.use_case,
        rollout.claim.version,
        rollout.claim.digest,
        actor_of(rollout.context),
        reason,
        rollout.evidence(
            f"{rollout.stage.name} {outcome}, try {rollout.context.run.try_number}",
            outcome=outcome,
            verdict=verdict.model_dump(mode="json"),
            **evidence,
        ),
    )


def verdict_row(rollout: Rollout) -> Entry:
    """The stage's newest verdict; `ReleaseError` where it has none."""
    rows = [
        row
        for row in rollout.ledger.rows(rollout.claim.use_case)
        if row.event == "verdict"
        and row.run == rollout.claim.run
        and row.evidence.get("about") == rollout.stage.name
    ]
    if not rows:
        raise ReleaseError(
            f"{rollout.stage.name} of run {rollout.claim.run} has no verdict in the ledger: there"
            " is nothing to decide on."
        )
    return rows[-1]


def is_own(rollout: Rollout, entry: Entry) -> bool:
    """Whether the row gave the traffic that this very stage began with."""
    return (entry.event, entry.run, entry.evidence.get("about")) == (
        "traffic",
        rollout.claim.run,
        rollout.stage.name,
    )
