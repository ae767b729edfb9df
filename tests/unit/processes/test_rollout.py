"""A stage of a rollout: what it does to the plan and the ledger, whatever the analysis says."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from include.errors import LateStep, ReleaseError
from include.interval import Interval
from include.processes import rollout as steps
from include.processes import stage as stages
from include.processes.release_results import BegunStage, PersonsAnswer, StageLook, StageName
from include.processes.results import PackageVerdict, SelectedVersion
from include.release.approval import GO_ON, REASON, Answer
from include.release.followers import Follower, report, this_process
from include.release.plan import Plan, read_plan
from include.release.rollback import roll_back
from include.release.rollout.judgement import Judgement
from include.release.strategies import Move
from include.spec import Bandit, Canary, Release, Strategy
from include.steps import RunInfo, StepContext
from include.verdict import Finding, Verdict
from tests.unit.release.releases import NAME, Releases

CANARY = Canary(steps=(0.1, 0.5), bake_seconds=1, patience_seconds=10)
FIRST, SECOND = StageName(name="shift_to_10_percent"), StageName(name="shift_to_50_percent")
ERRORS = Verdict(findings=(Finding(rule="errors", passed=False, reason="9 of 100 rows failed."),))


class World(Releases):
    """Version 1 is in service, version 2 is selected and its package accepted; the endpoint's one
    process is this test.
    """

    def __init__(self, folder: Path, strategy: Strategy, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(folder)
        self.strategy, self.moves = strategy, list[Move]()
        self.champion = self.promote(1)
        self.after = self.champion.number
        monkeypatch.setattr(stages, "wait_until_followed", self._follow)
        monkeypatch.setattr(steps, "judge_stage", self._judge)
        self.follows = True
        self.accept()

    def accept(self) -> None:
        """The ledger's row of the accepted package."""
        run = self.context().run.as_json()
        evidence = {"run": run, "about": "check_package", "step": "x", "outcome": "passed"}
        self.ledger.append("verdict", NAME, 2, self.digests[2], "engineer", "ok", evidence)

    def context(self, try_number: int = 1) -> StepContext:
        release = Release(strategy=self.strategy, overriders=("lead",))
        run = RunInfo("deployment", "run_1", "manual", "engineer", try_number)
        use_case = self.use_case.model_copy(update={"release": release})
        moment = use_case.schedule.start
        return StepContext(use_case, self.settings, Interval(moment, moment.replace(day=2)), run)

    def inputs(self) -> tuple[SelectedVersion, PackageVerdict]:
        digest = self.digests[2]
        selected = SelectedVersion(
            version=2, digest=digest, mlflow_run_id="m", reason="r", after=self.after
        )
        verdict = PackageVerdict(accepted=True, reasons=(), checks={}, version=2, digest=digest)
        return selected, verdict

    def begin(self, stage: StageName = FIRST, try_number: int = 1) -> BegunStage:
        return steps.begin_stage(self.context(try_number), *self.inputs(), stage)

    def look(self, kind: Any, stage: StageName = FIRST, share: float = 0.1) -> StageLook:
        self.moves.append(Move(kind=kind, challenger_share=share, reason=f"figures say {kind}"))
        return steps.look_at_stage(self.context(), *self.inputs(), stage)

    def shares(self) -> dict[int, float]:
        plan = read_plan(self.settings, NAME)
        assert plan is not None
        return {arm.version: arm.share for arm in plan.arms}

    def events(self) -> list[str]:
        return [row.event for row in self.ledger.rows(NAME)][2:]

    def _follow(self, settings: Any, plan: Plan, *, seconds: float) -> list[Follower]:
        if not self.follows:
            raise ReleaseError("one process does not load version 2")
        follower = Follower(
            process=this_process(),
            use_case=NAME,
            port=1,
            sequence=plan.sequence,
            plan=plan.fingerprint,
            heartbeat=time.time(),
        )
        report(settings, follower)
        return [follower]

    def _judge(self, *_: Any, **more: Any) -> Judgement:
        assert more["waited"] >= 0
        move = self.moves.pop()
        return Judgement(move, ERRORS if move.kind == "abort" else Verdict(), {})


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, CANARY, monkeypatch)


def test_stages_follow_each_other_by_their_verdicts_in_the_ledger(world: World) -> None:
    begun = world.begin()
    assert world.shares() == {1: 0.9, 2: 0.1}
    assert (begun.plan, begun.share) == (world.ledger.rows(NAME)[-1].number, 0.1)
    waiting = world.look("wait")
    assert (waiting.move, waiting.plan, waiting.ledger_row) == ("wait", begun.plan, None)
    with pytest.raises(ReleaseError, match="no verdict of shift_to_10_percent in run"):
        world.begin(SECOND)
    assert world.look("advance", share=0.5).accepted
    world.begin(SECOND)
    assert world.shares() == {1: 0.5, 2: 0.5}
    assert world.look("complete", SECOND, 1.0).accepted
    assert world.events() == ["traffic", "verdict", "traffic", "verdict"]


def test_an_abort_gives_everything_back_and_says_why_with_figures(world: World) -> None:
    world.begin()
    look = world.look("abort", share=0.0)
    assert (look.accepted, look.reasons) == (False, ("figures say abort",))
    assert world.shares() == {1: 1.0}
    verdict, back = world.ledger.rows(NAME)[-2:]
    assert (verdict.event, verdict.evidence["outcome"]) == ("verdict", "failed")
    assert (back.event, back.version, back.reason) == ("rolled_back", 2, "figures say abort")
    assert back.evidence["verdict"]["findings"][0]["rule"] == "errors"
    for again in (world.begin, lambda: world.begin(SECOND)):
        with pytest.raises(ReleaseError, match=r"was rolled back \(row .*Start a new deployment"):
            again()
    assert world.shares() == {1: 1.0}


def test_a_stage_that_is_repeated_goes_on_where_it_was(world: World) -> None:
    first = world.begin()
    assert world.begin(try_number=2).plan == first.plan
    assert world.events() == ["traffic"]


def test_a_process_that_does_not_follow_ends_the_stage_and_another_try_may_begin_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow, taken = world._follow, []

    def refuse_two_arms(settings: Any, plan: Plan, *, seconds: float) -> list[Follower]:
        if len(plan.arms) > 1:
            taken.append(plan.sequence)
            raise ReleaseError("one process does not load version 2")
        return follow(settings, plan, seconds=seconds)

    monkeypatch.setattr(stages, "wait_until_followed", refuse_two_arms)
    with pytest.raises(ReleaseError, match="does not load version 2"):
        world.begin()
    assert world.shares() == {1: 1.0}
    assert world.events() == ["traffic", "rolled_back"]
    monkeypatch.setattr(stages, "wait_until_followed", follow)
    world.begin(try_number=2)
    assert world.shares() == {1: 0.9, 2: 0.1}


def test_a_roll_back_by_somebody_else_ends_the_rollout(world: World) -> None:
    world.begin()
    roll_back(
        world.settings, world.use_case, to=None, actor="lead", reason="it is wrong", evidence={}
    )
    with pytest.raises(LateStep, match=r"version 2 was rolled back"):
        world.look("advance")
    assert world.shares() == {1: 1.0}


def test_a_rollout_that_nobody_watches_any_more_is_taken_back(world: World) -> None:
    world.begin()
    entry = stages.end_unwatched(world.context(), "shift_to_10_percent failed: killed")
    assert entry is not None
    assert world.shares() == {1: 1.0}
    assert stages.end_unwatched(world.context(), "again") is None


def test_a_bandit_moves_its_shares_and_goes_on_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, Bandit(floor=0.1, update_seconds=0.001), monkeypatch)
    stage = StageName(name="explore_versions")
    first = world.begin(stage)
    look = world.look("advance", stage, 0.3)
    assert (look.move, look.accepted) == ("wait", False)
    assert look.plan is not None
    assert first.plan is not None
    assert look.plan > first.plan
    assert world.shares() == {1: 0.7, 2: 0.3}
    assert world.begin(stage, try_number=2).plan == look.plan


def test_a_bandit_that_is_looked_at_more_often_moves_its_shares_when_it_declares(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, Bandit(floor=0.1, update_seconds=3600), monkeypatch)
    stage = StageName(name="explore_versions")
    first = world.begin(stage)
    look = world.look("advance", stage, 0.3)
    assert (look.move, look.share, look.plan) == ("wait", 0.1, first.plan)
    assert world.events() == ["traffic"]
    assert world.shares() == {1: 0.9, 2: 0.1}


def answer_of(world: World, subject: str, body: str, who: str, choice: str) -> PersonsAnswer:
    moment = world.ledger.rows(NAME)[-1].recorded_at
    answer = Answer(
        task_id=FIRST.name,
        try_number=1,
        task_state="running",
        subject=subject,
        body=body,
        created_at=moment,
        answered_at=moment,
        chosen=(choice,),
        responder_id=who,
        responder_name=who,
        inputs={REASON: "the service is quiet at night"},
    )
    passed_on = {"chosen_options": [choice], "responded_by_user": {"id": who, "name": who}}
    return PersonsAnswer(answer=answer, people=("engineer",), passed_on=passed_on)


@pytest.mark.parametrize(
    ("who", "choice", "events"),
    [
        ("lead", GO_ON, ["traffic", "verdict", "requested", "override"]),
        ("engineer", GO_ON, ["traffic", "verdict", "requested", "rolled_back"]),
        ("lead", "Roll back", ["traffic", "verdict", "requested", "rolled_back"]),
    ],
)
def test_what_the_analysis_cannot_decide_a_named_person_does(
    world: World, who: str, choice: str, events: list[str]
) -> None:
    world.begin()
    assert world.look("hold").move == "hold"
    request = steps.request_decision(world.context(), *world.inputs(), FIRST)
    assert "figures say hold" in request.body
    answered = answer_of(world, request.subject, request.body, who, choice)
    decided = steps.apply_decision(world.context(), *world.inputs(), FIRST, answered)
    assert decided.accepted is (events[-1] == "override")
    assert world.events() == events
    if decided.accepted:
        world.begin(SECOND)
        assert world.shares() == {1: 0.5, 2: 0.5}
    else:
        assert world.shares() == {1: 1.0}


def test_without_a_champion_there_is_nothing_to_compare(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Releases, "promote", lambda self, version: self)
    monkeypatch.setattr(Releases, "number", 0, raising=False)
    world = World(tmp_path, CANARY, monkeypatch)
    begun = world.begin()
    assert begun.plan is None
    assert "no version serves yet" in begun.reason
    assert read_plan(world.settings, NAME) is None
    assert world.begin(SECOND).plan is None
