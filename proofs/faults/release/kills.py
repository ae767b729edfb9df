"""Whoever runs a step of a release is killed (kill -9) before one of its writes; the scheduler then
tries it again, or gives up.

A real scheduler for every write would take hours; `approvals.py` kills one. Here the process dies
that runs the step as a pod does (`dying.py`), and the driver does what the scheduler does after it:
the same step of the same run with the next try's number, or the callback of a task that failed for
good.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cli.platform.environment import common_environment, process_environment
from include.errors import FlightdeckError, PlatformError
from include.processes import stage
from include.release.followers import wait_until_followed
from include.release.model_store import publish, version_folder
from include.release.packages import package_problem
from include.release.plan import read_plan
from include.release.rollout.decisions import plan_of
from include.settings import PREFIX, PROJECT_ROOT, Settings
from include.spec import Canary
from include.step_documents import step_document
from include.steps import StepContext
from proofs.faults.line import Line
from proofs.faults.release.versions import Drill
from proofs.faults.release.world import BETTER, CHAMPION, Driver, Try, failed
from proofs.harness.endpoint import USE_CASE, Endpoint
from proofs.harness.home import BUSY_MACHINE

KILLED = -signal.SIGKILL
GIVEN_UP = "its task failed for good"
CANARY = Canary(steps=(0.5,), bake_seconds=1, minimum_rows=20, patience_seconds=60)
STAGE = {"name": "shift_to_50_percent"}
PROMOTE, ROLL_BACK, LOOK = (
    "deployment:promote_version",
    "rollback:roll_back",
    "rollout:look_at_stage",
)
FOLLOWED_SECONDS = 60.0
LOOKS = 40
TRIES = 5
SHOWN = 300


class Scheduler:
    """Runs steps in processes that may be killed, over an endpoint's home and a release by canary.

    Its process starts with the first step; as a context manager it is ended at the end.
    """

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings, self.folder = settings, folder
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Scheduler:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is None:
            return
        with suppress(ProcessLookupError):  # with the step that it runs
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()

    def run(
        self, step: str, context: StepContext, inputs: dict[str, Any], kill_at: int | None = None
    ) -> tuple[int, int, dict[str, Any]]:
        """Status, writes and result of a step; a status of -9 says that it was killed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        document, output = self.folder / "input.json", self.folder / "output.json"
        output.unlink(missing_ok=True)
        document.write_text(json.dumps(step_document(context, inputs)))
        order = {"step": step, "input": str(document), "output": str(output), "kill_at": kill_at}
        process = self._process = self._process or self._start()
        if process.stdin is None or process.stdout is None:
            raise PlatformError("The process that runs steps has no pipes.")
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            raise PlatformError(f"The process that runs steps has ended: {self.log()}")
        answer = json.loads(line)
        result = json.loads(output.read_text()) if output.exists() else {}
        return answer["status"], answer["writes"], result

    def finish(self, step: str, context: StepContext, inputs: dict[str, Any]) -> dict[str, Any]:
        """The result of a step that nobody kills; `PlatformError` when it fails."""
        status, _, result = self.run(step, context, inputs)
        if status != 0:
            raise PlatformError(f"{step} ended with {status}: {self.log()}")
        return result

    def _start(self) -> subprocess.Popen[str]:
        overlay = self.folder / "overlay.json"
        release = {"strategy": CANARY.model_dump(mode="json")}
        changes = {"release": release, "gates": dict(BUSY_MACHINE)}
        overlay.write_text(json.dumps({USE_CASE: changes}))
        environment = {**common_environment(self.settings), f"{PREFIX}SPEC_OVERLAY": str(overlay)}
        with (self.folder / "scheduler.log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "proofs.faults.release.dying"],
                cwd=PROJECT_ROOT,
                env=process_environment(environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )

    def log(self) -> str:
        """The end of what the steps said."""
        return (self.folder / "scheduler.log").read_text(errors="replace")[-SHOWN:]


@dataclass
class Case:
    """One step of one run before it is killed: what it is called with."""

    started: Try
    inputs: dict[str, Any]


class Steps:
    """Every step of a release: how far a run must have come before it, and what must hold after."""

    def __init__(self, driver: Driver, scheduler: Scheduler) -> None:
        self.driver, self.scheduler = driver, scheduler

    def begin(self) -> Case:
        """A run whose version is selected and whose package was accepted."""
        driver = self.driver
        publish(
            driver.settings,
            USE_CASE,
            driver.world.packages[BETTER],
            BETTER,
            driver.world.digests[BETTER],
        )
        context = driver.context(CANARY)
        context = replace(context, run=replace(context.run, params={"version": BETTER}))
        started = driver.begin(BETTER, context)
        inputs = {"selected": started.selected.as_json(), "verdict": started.verdict.as_json()}
        return Case(started, inputs)

    def select(self) -> Case:
        """Nothing was done."""
        return replace_inputs(self.begin(), {})

    def package(self) -> Case:
        """The package is not in the store."""
        case = self.begin()
        folder = version_folder(self.driver.settings, USE_CASE, BETTER)
        shutil.rmtree(folder, ignore_errors=True)
        return replace_inputs(case, {"selected": case.inputs["selected"]})

    def check(self) -> Case:
        """The package is in the store."""
        case = self.begin()
        selected = {"selected": case.inputs["selected"]}
        packaged = self.scheduler.finish("deployment:package_model", case.started.context, selected)
        return replace_inputs(case, {"packaged": packaged})

    def stage(self) -> Case:
        """The stage has not begun."""
        case = self.begin()
        return replace_inputs(case, {**case.inputs, "stage": STAGE})

    def look(self) -> Case:
        """The stage has begun."""
        case = self.stage()
        self.scheduler.finish("rollout:begin_stage", case.started.context, case.inputs)
        return case

    def promotion(self) -> Case:
        """The stage has passed."""
        case = self.look()
        self.finish_look(case)
        return replace_inputs(case, {name: case.inputs[name] for name in ("selected", "verdict")})

    def rollback(self) -> Case:
        """Another version than the champion was promoted."""
        self.driver.promote(BETTER)
        started = self.begin().started
        run = replace(started.context.run, process="rollback", params={"to": CHAMPION})
        return Case(replace(started, context=replace(started.context, run=run)), {})

    def finish_look(self, case: Case) -> dict[str, Any]:
        """Look until the stage has decided."""
        for _ in range(LOOKS):
            context = case.started.context
            _, _, look = self.scheduler.run("rollout:look_at_stage", context, case.inputs)
            if look.get("move") != "wait":
                return look
        raise PlatformError(f"{STAGE['name']} decided nothing: {self.scheduler.log()}")


def replace_inputs(case: Case, inputs: dict[str, Any]) -> Case:
    """The same run before another step."""
    return Case(case.started, inputs)


def killed_steps(kills: int, scheduler: Scheduler) -> list[tuple[str, Drill]]:
    """Name and drill of each step; `kills` kills, spread over all its writes from first to last."""
    return [
        (name, _drill(name, step, before, kills, scheduler))
        for name, step, before in (
            ("select_version", "deployment:select_version", Steps.select),
            ("package_model", "deployment:package_model", Steps.package),
            ("check_package", "deployment:check_package", Steps.check),
            ("a stage's begin", "rollout:begin_stage", Steps.stage),
            ("a stage's look", "rollout:look_at_stage", Steps.look),
            ("promote_version", PROMOTE, Steps.promotion),
            ("roll_back", ROLL_BACK, Steps.rollback),
        )
    ]


def _drill(
    name: str, step: str, before: Callable[[Steps], Case], kills: int, scheduler: Scheduler
) -> Drill:
    def drill(driver: Driver, endpoint: Endpoint) -> Line:
        with driver.traffic(endpoint, callers=2).flowing() as traffic:
            steps = Steps(driver, scheduler)
            case = before(steps)
            _, writes, _ = scheduler.run(step, case.started.context, case.inputs)
            _give_up(driver, case)
            points, died, wrong = spread(writes, kills), list[int](), list[str]()
            for number, point in enumerate(points):
                case, at = _killed(steps, step, before, point)
                died += [at] if at else []
                again = number % 2 == 1 or step == ROLL_BACK
                problem = _between(driver) or _after(steps, step, case, again=again)
                wrong += [f"at write {point}: {problem}"] if problem else []
            traffic.wait_for(10)
        whole = len(points) - len(wrong)
        tried = "each" if step == ROLL_BACK else "every other one"
        return Line(
            f"kill -9 of whoever runs {name}, at {len(points)} of its writes",
            f"{len(points)} died, all old or all new after {len(points)}, 0 failed requests",
            f"{len(died)} died, all old or all new after {whole}, {failed(traffic)}",
            f"before write {', '.join(map(str, died))} of {writes}, {tried} tried again"
            f"{'; ' + wrong[0] if wrong else ''}",
        )

    return drill


def _killed(
    steps: Steps, step: str, before: Callable[[Steps], Case], point: int
) -> tuple[Case, int]:
    """A run whose step has died, and before which write; 0 where it lived each time. Not every run
    makes as many writes: of one with fewer than `point` the last is taken.
    """
    for _ in range(TRIES):
        case = before(steps)
        status, writes, _ = steps.scheduler.run(step, case.started.context, case.inputs, point)
        if status == KILLED:
            return case, point
        _give_up(steps.driver, case)
        point = max(min(point, writes), 1)
    return before(steps), 0


def spread(writes: int, kills: int) -> list[int]:
    """Numbers of writes, evenly spread, the first and the last among them."""
    if writes <= kills:
        return list(range(1, writes + 1))
    return sorted({1 + round(place * (writes - 1) / (kills - 1)) for place in range(kills)})


def _between(driver: Driver) -> str:
    """What does not hold while nobody has tried again: the chain, the plan, the packages."""
    try:
        driver.ledger.verify()
        plan = read_plan(driver.settings, USE_CASE)
    except FlightdeckError as error:
        return str(error)
    rows = {row.number: row for row in driver.ledger.rows(USE_CASE)}
    if plan is None or plan_of(rows[plan.sequence]) != plan:
        return "the plan is of no row"
    folder = version_folder(driver.settings, USE_CASE, BETTER)
    if folder.exists():
        digest = driver.world.digests[BETTER]
        return package_problem(driver.settings, USE_CASE, BETTER, digest) or ""
    return ""


def _after(steps: Steps, step: str, case: Case, *, again: bool) -> str:
    """What does not hold after another try, or after the run was given up."""
    if not again:
        stage.end_unwatched(case.started.context, GIVEN_UP)
        # Who dies behind the row that promotes has promoted.
        done = min(_promotions(steps.driver, case), 1)
        problem = _whole(steps.driver, case, {BETTER if done else CHAMPION: 1.0}, done)
        _give_up(steps.driver, case)
        return problem
    retried = Case(case.started.again(), case.inputs)
    if step == LOOK:
        steps.finish_look(retried)
    else:
        steps.scheduler.finish(step, retried.started.context, retried.inputs)
    problem = _whole(steps.driver, case, _shares(step), int(step in (PROMOTE, ROLL_BACK)))
    _give_up(steps.driver, case)
    return problem


def _shares(step: str) -> dict[int, float]:
    """Who answers after a step of a rollout has ended well."""
    if step == PROMOTE:
        return {BETTER: 1.0}
    return {CHAMPION: 0.5, BETTER: 0.5} if step.startswith("rollout:") else {CHAMPION: 1.0}


def _whole(driver: Driver, case: Case, shares: dict[int, float], promotions: int) -> str:
    """What of ledger, plan and endpoint says something else than these shares."""
    row, plan = driver.newest(), read_plan(driver.settings, USE_CASE)
    if plan is None or (row.event != "promoted" and plan != plan_of(row)):
        return f"the plan is not that of row {row.number}"
    if driver.shares() != shares:
        return f"the plan says {driver.shares()}"
    wait_until_followed(driver.settings, plan, seconds=FOLLOWED_SECONDS)
    promoted = _promotions(driver, case)
    return "" if promoted == promotions else f"{promoted} promotions by one run"


def _promotions(driver: Driver, case: Case) -> int:
    """How often the run has promoted."""
    run = f"{case.started.context.run.process}/{case.started.context.run.run_id}"
    own = [row for row in driver.ledger.rows(USE_CASE) if row.run == run]
    return sum(row.event == "promoted" for row in own)


def _give_up(driver: Driver, case: Case) -> None:
    """What happens when a run fails for good; and the champion serves for the next case."""
    stage.end_unwatched(case.started.context, GIVEN_UP)
    if driver.champion() != CHAMPION:
        driver.back(CHAMPION)
