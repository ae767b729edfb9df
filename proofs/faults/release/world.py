"""The driver of the drills: it runs the steps of a deployment as its DAG does, one after the other,
over a real endpoint, without Airflow between them.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import Any
from zlib import crc32

import polars as pl

from include import files
from include.errors import PlatformError
from include.processes import deployment, rollout
from include.processes.release_results import RolledBack, StageLook, StageName
from include.processes.results import PackageVerdict, SelectedVersion
from include.processes.results import Release as Promoted
from include.processes.rollback import go_back
from include.release.ledger import Entry, Ledger
from include.release.model_store import publish
from include.release.plan import read_plan
from include.release.rollout.stages import stages_of
from include.settings import Settings
from include.spec import Canary, Direct, Release, Strategy, UseCase
from include.steps import RunInfo, StepContext
from proofs.faults.release.drill_file import DRILL_FILE
from proofs.harness.data import (
    labelled_rows,
    train_signed,
    with_rounds,
)
from proofs.harness.endpoint import USE_CASE, Endpoint
from proofs.harness.traffic import Traffic
from proofs.harness.world import (
    FIRST_ROWS,
    INTERVAL,
    ROUNDS,
    World,
    build_world,
    with_many_units,
)

CHAMPION, BETTER, IDENTICAL, FLIPPED, SLICED = 1, 2, 3, 4, 5
VERSIONS: Mapping[int, Mapping[str, Any]] = MappingProxyType(
    {
        CHAMPION: {"max_depth": 3},
        # A little further trained, so that its scores hardly move.
        BETTER: {"max_depth": 3, "eta": 0.12},
        IDENTICAL: {"max_depth": 3, "seed": 7},
    }
)
WRONG_CARRIER = "AA"
FAST = Canary(steps=(0.2, 0.5), bake_seconds=3, minimum_rows=150, patience_seconds=90)
LONG = Canary(steps=(0.5,), bake_seconds=20, minimum_rows=4_000, patience_seconds=600)
"""Long enough for a slice of a tenth of the rows, however busy the machine is."""
LOOK_SECONDS = 1.0
OPERATOR = "engineer"


def build_release_world(settings: Settings) -> World:
    """The harness's world with a better and an identical version, one that was trained on opposite
    labels and one whose labels were opposite on one carrier; requests about several days.
    """
    world = build_world(settings, versions=VERSIONS)
    labelled = labelled_rows(settings, FIRST_ROWS, INTERVAL.end)
    opposite = (1 - pl.col("late")).alias("late")
    wrong = pl.when(pl.col("carrier") == WRONG_CARRIER).then(opposite).otherwise(pl.col("late"))
    for version, changed in ((FLIPPED, opposite), (SLICED, wrong.alias("late"))):
        _add_version(world, version, labelled.with_columns(changed))
    # In an order in which no carrier and no hour comes in a block of its own.
    rows = sorted(with_many_units(world).rows, key=lambda row: crc32(str(row).encode()))
    return replace(world, rows=rows)


def _add_version(world: World, version: int, rows: pl.DataFrame) -> None:
    run = RunInfo(process="training", run_id=f"run-{version}")
    small = with_rounds(world.use_case, ROUNDS)
    context = StepContext(small, world.settings, INTERVAL, run)
    folder, digest, _ = train_signed(context, rows, **VERSIONS[CHAMPION])
    world.packages[version], world.digests[version] = folder, digest
    publish(world.settings, world.use_case.name, folder, version, digest)


class FaultyEndpoint(Endpoint):
    """An endpoint whose versions misbehave as the file `drill` says."""

    def __init__(self, settings: Settings, drill: Path, **more: Any) -> None:
        super().__init__(settings, changes={DRILL_FILE: str(drill)}, **more)

    def command(self) -> tuple[str, ...]:
        """The platform's own server over the application with the drill."""
        code = (
            "from include.settings import load_settings\n"
            "from cli.endpoint.serve import prepare_metrics, serve\n"
            f"settings = load_settings(); prepare_metrics(settings, {self.port})\n"
            f"serve(settings, {self.settings.host!r}, {self.port},"
            " 'proofs.faults.release.faulty:application')\n"
        )
        return (sys.executable, "-c", code)


@dataclass(frozen=True)
class Try:
    """One run of a deployment: its context, and what stands before every rollout."""

    context: StepContext
    selected: SelectedVersion
    verdict: PackageVerdict

    @property
    def inputs(self) -> tuple[SelectedVersion, PackageVerdict]:
        """What the steps of the rollout take."""
        return self.selected, self.verdict

    def again(self) -> Try:
        """The same run's next try, as Airflow makes it."""
        run = replace(self.context.run, try_number=self.context.run.try_number + 1)
        return replace(self, context=replace(self.context, run=run))


class Driver:
    """Releases versions of a world that are published; `drill` makes one misbehave."""

    def __init__(self, world: World, settings: Settings, drill: Path) -> None:
        self.world, self.settings, self.drill = world, settings, drill
        self.ledger = Ledger(settings)
        self._runs = count(1)

    def use_case(self, strategy: Strategy) -> UseCase:
        """The use case with a strategy of releases."""
        release = Release(strategy=strategy)
        return self.world.use_case.model_copy(update={"release": release})

    def context(self, strategy: Strategy, settings: Settings | None = None) -> StepContext:
        """A new run's."""
        run_id = f"drill_{time.time_ns()}_{next(self._runs)}"
        run = RunInfo("deployment", run_id, "manual", OPERATOR)
        return StepContext(self.use_case(strategy), settings or self.settings, INTERVAL, run)

    def begin(self, version: int, context: StepContext) -> Try:
        """What stands before every rollout: the version, and its accepted package."""
        newest = self.ledger.newest(USE_CASE)
        digest = self.world.digests[version]
        evidence = {"run": context.run.as_json(), "about": "check_package", "outcome": "passed"}
        self.ledger.append("verdict", USE_CASE, version, digest, OPERATOR, "ok", evidence)
        selected = SelectedVersion(
            version=version,
            digest=digest,
            mlflow_run_id="drill",
            reason="a drill",
            after=0 if newest is None else newest.number,
        )
        verdict = PackageVerdict(
            accepted=True, reasons=(), checks={}, version=version, digest=digest
        )
        return Try(context, selected, verdict)

    def roll_out(self, version: int, strategy: Strategy = FAST) -> StageLook | None:
        """Run the stages until one refuses or holds, or all have passed and the version is
        promoted; the last look.
        """
        started = self.begin(version, self.context(strategy))
        look: StageLook | None = None
        for stage in stages_of(started.context.use_case.release):
            name = StageName(name=stage.name)
            rollout.begin_stage(started.context, *started.inputs, name)
            look = look_until_decided(started, name)
            if not look.accepted:
                return look
        deployment.promote_version(started.context, *started.inputs)
        return look

    def promote(self, version: int, settings: Settings | None = None) -> Promoted:
        """Release a version directly."""
        started = self.begin(version, self.context(Direct(), settings))
        return deployment.promote_version(started.context, *started.inputs)

    def back(self, to: int | None = None, settings: Settings | None = None) -> RolledBack:
        """Roll back as the command does."""
        return go_back(
            settings or self.settings,
            self.world.use_case,
            to=to,
            actor=OPERATOR,
            reason="a drill",
            evidence={"command": "drill"},
        )

    def newest(self) -> Entry:
        """The ledger's newest row about the traffic."""
        newest = self.ledger.newest(USE_CASE)
        if newest is None:
            raise PlatformError("The drill's ledger has no row about the traffic.")
        return newest

    def champion(self) -> int:
        """The version that the newest promotion put into service."""
        current = self.ledger.current(USE_CASE)
        return 0 if current is None else current.version

    def shares(self) -> dict[int, float]:
        """The share of every version by the plan in force."""
        plan = read_plan(self.settings, USE_CASE)
        return {} if plan is None else {arm.version: arm.share for arm in plan.arms}

    @contextmanager
    def misbehaving(self, version: int, **how: Any) -> Iterator[None]:
        """For the time of the block a version misbehaves; not at all without `how`."""
        if not how:
            yield
            return
        # Whole or not at all: the endpoint reads it at any moment.
        files.write(self.drill, json.dumps({"digest": self.world.digests[version], **how}))
        try:
            yield
        finally:
            files.write(self.drill, "{}")

    def traffic(self, endpoint: Endpoint, *, callers: int = 4) -> Traffic:
        """Callers of the endpoint that repeat nothing: every failure counts."""
        return Traffic(endpoint.url, self.world.rows, callers=callers, retries=False)


def look_until_decided(started: Try, stage: StageName) -> StageLook:
    """Look again and again, as the stage's trigger makes its task look."""
    while True:
        time.sleep(LOOK_SECONDS)
        look = rollout.look_at_stage(started.context, *started.inputs, stage)
        if look.move != "wait":
            return look


def failed(*traffics: Traffic) -> str:
    """How many requests failed, for the line."""
    errors = sum(sum(traffic.errors.values()) for traffic in traffics)
    return f"{errors} failed requests"


def answered(traffic: Traffic) -> str:
    """What callers saw, for the detail."""
    errors = "".join(f", {count} x {name}" for name, count in sorted(traffic.errors.items()))
    return f"{len(traffic.answers)} answers, slowest {1000 * traffic.slowest:.0f} ms{errors}"


def refusing_rules(look: StageLook | None) -> list[str]:
    """The rules that refused."""
    findings = [] if look is None else look.verdict["findings"]
    return sorted({finding["rule"] for finding in findings if not finding["passed"]})
