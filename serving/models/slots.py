"""A slot holds what serves for a use case, and follows the plan of its traffic.

A new version is on probation in a child process first. Then it is loaded, checked against digest,
signature, statement and golden answers and warmed up beside those that serve. When all versions of
a plan are loaded, one reference is replaced. Requests in flight keep the objects they hold, and
transform and model always come from the same object. A plan of which one version cannot be loaded,
that was not signed by our key or comes before the one in force leaves that one in force.

Copies of the versions of the plan in force and of the one before are kept beside the log, so that
they serve, also after a restart, although the model store cannot be read.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from include.errors import FlightdeckError, RegistryError, ServingError
from include.features.version_interface import as_read_by
from include.model.engine import ENGINES
from include.model.signing import public_key
from include.release.copies import copy_of
from include.release.followers import Follower, Process
from include.release.interfaces import read_interface
from include.release.model_store import Desired, version_folder
from include.release.plan import (
    IssuedPlan,
    Plan,
    PlannedArm,
    former_path,
    plan_path,
    read_issued,
)
from include.settings import Settings
from include.spec import UseCase
from serving.contract.errors import UnanswerableError
from serving.contract.metrics import ENGINE, LOAD_FAILURES, PLAN, VERSION
from serving.models.last_good import LastGood
from serving.models.loading import check_files, load_served
from serving.models.probation import try_in_child
from serving.models.shadow import Shadow
from serving.models.traffic import Key, Traffic, open_traffic
from serving.scoring.batch import Scored
from serving.scoring.served_model import ServedModel

RETRY_SECONDS = 15.0

logger = logging.getLogger("flightdeck.serving")


class ModelSlot:
    """The plan in force and the one that is written down, of one use case.

    Only the watching thread writes, everybody reads `traffic`. `plan` is the newest plan that was
    read, whether it is in force or not; `issued` is the one in force. `not_here` says why a newer
    one, which hosts share, is not on this host. `contract` is the use case as
    the versions in force read it: `prepare` is called with the next one before they change and may
    raise, `adopt` when they have.
    """

    def __init__(
        self,
        settings: Settings,
        use_case: UseCase,
        *,
        prepare: Callable[[UseCase], None] | None = None,
        adopt: Callable[[UseCase], None] | None = None,
    ) -> None:
        self.use_case = use_case
        self.contract = use_case
        self._prepare = prepare
        self._adopt = adopt
        self.traffic: Traffic | None = None
        self.issued: IssuedPlan | None = None
        self.plan: Plan | None = None
        self.last_error: str | None = None
        self.not_here: str | None = None
        self.shadow: Shadow | None = None
        self._settings = settings
        self._public_key = public_key(settings)
        self._last_good = LastGood(settings, use_case.name)
        self._passed: set[str] = set()
        self._stamp: tuple[int, int, str] | None = None
        self._retry_at = 0.0

    @property
    def serving(self) -> ServedModel | None:
        """The champion, where any version serves."""
        traffic = self.traffic
        return None if traffic is None else traffic.champion.model

    @property
    def problem(self) -> str | None:
        """Why the newest plan is not followed."""
        return self.not_here or self.last_error

    def served(self) -> ServedModel:
        """Return the champion; raise `UnanswerableError` (503) when there is none."""
        return self.in_force().champion.model

    def in_force(self) -> Traffic:
        """Return what serves; raise `UnanswerableError` (503) when nothing does."""
        traffic = self.traffic
        if traffic is None:
            raise UnanswerableError(
                503,
                "no_model",
                f"No model of {self.use_case.name} is in service yet; see GET /v1/models.",
                "use_case",
            )
        return traffic

    def restore(self) -> None:
        """At start, follow the last plan that was followed here, at once, and then the one that is
        written down where that is another.
        """
        recorded = self._last_good.read()
        if recorded is not None and not self._withdrawn_since(recorded):
            try:
                self._follow(recorded, passed=self._last_good.libraries_are_the_same())
            except (FlightdeckError, OSError) as error:
                logger.warning(
                    "%s: the last good plan cannot be followed: %s", self.use_case.name, error
                )
        self.refresh()

    def _withdrawn_since(self, recorded: IssuedPlan) -> bool:
        try:
            written = read_issued(self._settings, self.use_case.name)
        except (FlightdeckError, OSError):
            return False
        return written is not None and not written.plan.arms and written.order >= recorded.order

    def refresh(self) -> None:
        """Follow the plan that is written down; one that cannot be followed is tried again every
        `RETRY_SECONDS`, and what serves stays.
        """
        stamp = self._look()
        patient = self.last_error is None or time.monotonic() < self._retry_at
        if stamp is None or (stamp == self._stamp and patient):
            return
        self._stamp = stamp
        try:
            self.plan = None
            issued = read_issued(self._settings, self.use_case.name)
            if issued is not None:
                self.plan = issued.plan
                self._follow(issued)
        except Exception as error:  # a bad package must not end the watching thread
            LOAD_FAILURES.labels(self.use_case.name).inc()
            self.last_error = f"{type(error).__name__}: {error}"
            self._retry_at = time.monotonic() + RETRY_SECONDS
            logger.exception("%s: the plan cannot be followed", self.use_case.name)
        else:
            self.last_error = None

    def follower(self, process: Process) -> Follower:
        """What a process reports of this slot."""
        issued, plan = self.issued, self.plan
        return Follower(
            process=process,
            use_case=self.use_case.name,
            port=self._settings.serving_port,
            sequence=None if issued is None else issued.plan.sequence,
            plan="" if issued is None else issued.plan.fingerprint,
            versions=()
            if issued is None
            else tuple((arm.version, arm.digest) for arm in issued.plan.versions),
            error=self.problem,
            refused="" if plan is None or self.not_here else plan.fingerprint,
            heartbeat=time.time(),
        )

    def mirror(self, scored: Scored) -> None:
        """Have the shadow, where there is one, score what was answered."""
        shadow = self.shadow
        if shadow is not None:
            shadow.offer(scored.log_rows, scored.sources)

    def close(self) -> None:
        """End the shadow."""
        if self.shadow is not None:
            self.shadow.stop()

    def serve(self, served: ServedModel) -> None:
        """Have one loaded version answer everything, for programs that load it themselves."""
        champion = PlannedArm(
            role="champion", version=served.version, digest=served.digest, share=1.0
        )
        plan = Plan(
            use_case=self.use_case.name,
            sequence=0,
            arms=(champion,),
            unit=(),
            salt=self.use_case.name,
            decided_by="",
        )
        self.traffic = open_traffic(IssuedPlan(plan), {(served.version, served.digest): served})
        self._agree(as_read_by(self.use_case, [served.interface]))

    def _follow(self, issued: IssuedPlan, *, passed: bool = False) -> None:
        self._require_newest(issued)
        if self.issued is not None and issued.plan == self.issued.plan:
            return
        models = {} if self.traffic is None else self.traffic.models()
        folders: dict[Key, Path] = {}
        for arm in issued.plan.arms:
            key = (arm.version, arm.digest)
            if key not in models:
                version = self._intact(arm, stated=not issued.former)
                models[key] = self._load(version, passed=passed)
                folders[key] = version.folder
        traffic, contract = open_traffic(issued, models), self._contract_of(issued, models)
        if self._prepare is not None:
            self._prepare(contract)
        if self.traffic is None:
            self._agree(contract)
            self.traffic = traffic  # nobody waits for a shadow to be answered
        shadow = self._shadow_of(issued)
        self.traffic, self.issued = traffic, issued
        self._agree(contract)
        former, self.shadow = self.shadow, shadow
        if shadow is not None:
            folders[shadow.version.version, shadow.version.digest] = shadow.version.folder
        if former is not None and former is not shadow:
            former.stop()
        self._last_good.keep(issued, folders)
        self._show(issued.plan)

    def _require_newest(self, issued: IssuedPlan) -> None:
        last = self.issued or self._last_good.read()
        if last is not None and issued.order < last.order:
            raise ServingError(
                f"The plan {issued.plan.sequence} of {self.use_case.name} is older than plan"
                f" {last.plan.sequence}, which was followed here; it is not followed. Decide anew."
            )

    def _contract_of(self, issued: IssuedPlan, models: Mapping[Key, ServedModel]) -> UseCase:
        """The use case as the plan's versions read it, its shadow's too; raises `SpecError` where
        they cannot share requests.
        """
        arms, planned = issued.plan.arms, issued.plan.shadow
        interfaces = [models[arm.version, arm.digest].interface for arm in arms]
        if planned is not None:
            shadow = self._intact(planned, stated=not issued.former)
            interfaces.append(read_interface(shadow.folder, shadow.version))
        return as_read_by(self.use_case, interfaces)

    def _agree(self, contract: UseCase) -> None:
        """Have callers asked for what the versions in force read."""
        if contract is self.contract or contract == self.contract:
            return
        self.contract = contract
        if self._adopt is not None:
            self._adopt(contract)

    def _shadow_of(self, issued: IssuedPlan) -> Shadow | None:
        """The plan's shadow, started where it does not run yet."""
        planned = issued.plan.shadow
        if planned is None:
            return None
        running = self.shadow
        if running is not None and running.is_of(planned.version, planned.digest):
            running.plan = issued.plan.sequence
            return running
        version = self._intact(planned, stated=not issued.former)
        shadow = Shadow(self._settings, self.use_case, version, self._public_key)
        shadow.start(issued.plan.sequence)
        return shadow

    def _load(self, version: Desired, *, passed: bool) -> ServedModel:
        if not passed and version.digest not in self._passed:
            try_in_child(self.use_case.name, version, self._public_key)
        self._passed.add(version.digest)
        return load_served(version, self.use_case, self._public_key)

    def _intact(self, arm: PlannedArm, *, stated: bool) -> Desired:
        """The version's package in the model store, or where that is gone or damaged the copy."""
        name = self.use_case.name
        stored = Desired(arm.version, arm.digest, version_folder(self._settings, name, arm.version))
        try:
            check_files(stored, self._public_key, name, stated=stated)
        except (RegistryError, OSError) as error:
            copy = copy_of(self._settings, name, arm.version, arm.digest)
            if copy is None:
                raise
            logger.warning("%s: a copy stands in for the model store's package: %s", name, error)
            copied = Desired(arm.version, arm.digest, copy)
            check_files(copied, self._public_key, name, stated=stated)
            return copied
        return stored

    def _look(self) -> tuple[int, int, str] | None:
        """What changes with the file that is followed; None while there is none."""
        for path in (
            plan_path(self._settings, self.use_case.name),
            former_path(self._settings, self.use_case.name),
        ):
            try:
                status = path.stat()
            except OSError:
                continue
            return status.st_mtime_ns, status.st_ino, path.name
        return None

    def _show(self, plan: Plan) -> None:
        serving = self.serving
        for engine in ENGINES:
            ENGINE.labels(self.use_case.name, engine).set(
                serving is not None and serving.scorer.engine.name == engine
            )
        VERSION.labels(self.use_case.name).set(0 if serving is None else serving.version)
        PLAN.labels(self.use_case.name).set(plan.sequence)
        logger.info(
            "%s: plan %d is in force: %s",
            self.use_case.name,
            plan.sequence,
            ", ".join(f"version {arm.version} {arm.share:.0%}" for arm in plan.arms) or "no arms",
        )
