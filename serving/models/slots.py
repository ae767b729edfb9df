"""A slot holds what serves for a use case, and follows the plan of its traffic.

A new version is on probation in a child process first. Then it is loaded, checked against digest,
signature, statement and golden answers and warmed up beside those that serve. When all versions of
a plan are loaded, one reference is replaced. Requests in flight keep the objects they hold, and
transform and model always come from the same object. A plan of which one version cannot be loaded,
that was not signed by our key or comes before the one in force leaves that one in force.

Copies of the versions of the plan in force and of the one before are kept beside the log, so that
they serve, also after a restart, although the model store cannot be read.

Where a process has more models than it may keep (`serving.models.residency`), a slot may stand by:
its plan is in force, and its version is loaded when somebody asks. Everything is checked then as it
is at any other load. A slot that stands by and gets another plan loads the one in force first.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from include.errors import FlightdeckError, ServingError
from include.features.version_interface import as_read_by
from include.release.interfaces import read_interface
from include.release.plan import IssuedPlan, Plan, one_arm
from include.settings import Settings
from include.spec import UseCase
from serving.contract.errors import NotLoadedError, UnanswerableError
from serving.contract.metrics import LOAD_FAILURES
from serving.models.last_good import LastGood
from serving.models.packages import Packages
from serving.models.shadow import Shadow
from serving.models.showing import show_loaded, show_plan
from serving.models.standing import Standing, read_standing, standing_of
from serving.models.traffic import Key, Traffic, open_traffic
from serving.models.written_plan import WrittenPlan
from serving.scoring.batch import Scored
from serving.scoring.served_model import ServedModel

RETRY_SECONDS = 15.0

logger = logging.getLogger("flightdeck.serving")


class ModelSlot:
    """The plan in force and the one that is written down, of one use case.

    The watching thread writes, and whoever loads on demand, under a lock; everybody reads
    `traffic`. `plan` is the newest plan that was read, whether it is in force or not; `issued` is
    the one in force. `standing` is what answers, loaded or not: it stands by where `traffic` is
    None. `not_here` says why a newer plan, which hosts share, is not on this host, `load_error` why
    what stands by could not be loaded. `contract` is the use case as the versions in force read it:
    `prepare` is called with the next one before they change and may raise, `adopt` when they have.
    The router sets `requested`; `last_requested` is when that was seen (`time.monotonic()`).
    """

    standing: Standing | None = None
    load_error: str | None = None
    requested = False
    last_requested = 0.0

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
        self._packages = Packages(settings, use_case)
        self._written = WrittenPlan(settings, use_case.name)
        self._last_good = LastGood(settings, use_case.name)
        self._stamp: tuple[int, int, str] | None = None
        self._retry_at = 0.0
        self._load_at = 0.0
        self._changing = threading.Lock()

    @property
    def serving(self) -> ServedModel | None:
        """The champion, where any version is loaded."""
        traffic = self.traffic
        return None if traffic is None else traffic.champion.model

    @property
    def stands_by(self) -> bool:
        """Say whether its version is loaded when somebody asks, and is not now."""
        return self.traffic is None and self.standing is not None

    @property
    def in_service(self) -> bool:
        """Say whether a plan with versions is in force, loaded or not."""
        return self.traffic is not None or self.standing is not None

    @property
    def answers(self) -> bool:
        """Say whether a request gets an answer: a version is loaded, or one that has been tried can
        be.
        """
        standing = self.standing
        if self.traffic is not None:
            return True
        return standing is not None and standing.passed and self.load_error is None

    @property
    def versions(self) -> list[int]:
        """The versions that answer, the champion first; a version that was never tried does not."""
        traffic, standing = self.traffic, self.standing
        if traffic is not None:
            return [arm.version for arm in traffic.arms]
        return [standing.arm.version] if standing is not None and standing.passed else []

    @property
    def may_leave(self) -> bool:
        """Say whether its version may be let go: no rollout, canary or shadow is under way, and it
        can be loaded again.
        """
        traffic, standing = self.traffic, self.standing
        return (
            traffic is not None
            and standing is not None
            and standing.issued is self.issued
            and self.shadow is None
        )

    @property
    def problem(self) -> str | None:
        """Why the newest plan is not followed, or cannot be answered by."""
        return self.not_here or self.last_error or self.load_error

    def load_wait(self) -> float:
        """Seconds until a version that could not be loaded is tried again."""
        return 0.0 if self.load_error is None else max(self._load_at - time.monotonic(), 0.0)

    def served(self) -> ServedModel:
        """Return the champion; raise `UnanswerableError` (503) when there is none."""
        return self.in_force().champion.model

    def in_force(self) -> Traffic:
        """Return what serves; raise `UnanswerableError` (503) when nothing does, `NotLoadedError`
        when it stands by.
        """
        self.requested = True
        traffic = self.traffic
        if traffic is None:
            if self.standing is not None:
                raise NotLoadedError(self.use_case.name)
            raise UnanswerableError(
                503,
                "no_model",
                f"No model of {self.use_case.name} is in service yet; see GET /v1/models.",
                "use_case",
            )
        return traffic

    def restore(self, *, standing_by: bool = False) -> None:
        """At start, follow the last plan that was followed here, at once, and then the one that is
        written down where that is another.

        With `standing_by` it stands by instead of loading, where its plan allows that: a plan of
        one version that takes nobody's place.
        """
        recorded = self._last_good.read()
        if recorded is not None and not self._written.withdraws(recorded):
            passed = self._last_good.libraries_are_the_same()
            try:
                with self._changing:
                    if standing_by and recorded.plan.is_plain:
                        self._stand_by(recorded, passed=passed)
                    else:
                        self._follow(recorded, passed=passed)
            except (FlightdeckError, OSError) as error:
                logger.warning(
                    "%s: the last good plan cannot be followed: %s", self.use_case.name, error
                )
        self.refresh(standing_by=standing_by)

    def refresh(self, *, standing_by: bool = False) -> None:
        """Follow the plan that is written down; one that cannot be followed is tried again every
        `RETRY_SECONDS`, and what serves stays.
        """
        stamp = self._written.stamp()
        patient = self.last_error is None or time.monotonic() < self._retry_at
        if stamp is None or (stamp == self._stamp and patient):
            return
        self._stamp = stamp
        if self.stands_by and self._written.differs_from(self.standing):
            self.wake()  # the last good version serves while the next one is tried
        with self._changing:
            self.last_error = self._failure(lambda: self._refresh(standing_by=standing_by))
        self._retry_at = time.monotonic() + RETRY_SECONDS

    def _refresh(self, *, standing_by: bool) -> None:
        self.plan = None
        issued = self._written.read()
        if issued is None:
            return
        self.plan = issued.plan
        if self._is_standing(issued.plan):
            return
        nothing_lost = self.issued is None and self._last_good.read() is None
        if standing_by and nothing_lost and issued.plan.is_plain:
            self._stand_by(issued, passed=False)
        else:
            self._follow(issued)

    def _failure(self, work: Callable[[], None]) -> str | None:
        """Do what loads or tries a version; the reason where that fails."""
        try:
            work()
        except Exception as error:  # a bad package must not end the thread
            LOAD_FAILURES.labels(self.use_case.name).inc()
            logger.exception("%s: the plan cannot be followed", self.use_case.name)
            return f"{type(error).__name__}: {error}"
        return None

    def wake(self) -> None:
        """Load what stands by, if it does; where that has failed it is tried again every
        `RETRY_SECONDS`, and `load_error` says why.
        """
        with self._changing:
            standing = self.standing
            if standing is None or self.traffic is not None or self.load_wait():
                return
            self.load_error = self._failure(
                lambda: self._follow(standing.issued, passed=standing.passed)
            )
            self._load_at = time.monotonic() + RETRY_SECONDS

    def try_standing(self) -> bool:
        """Have a child process try a version that stands by and was never tried; say whether there
        was anything to do.
        """
        with self._changing:
            standing = self.standing
            untried = standing is not None and not standing.passed and self.traffic is None
            if standing is None or not untried or self.load_wait():
                return False
            self.load_error = self._failure(lambda: self._try(standing))
            self._load_at = time.monotonic() + RETRY_SECONDS
            return True

    def _try(self, standing: Standing) -> None:
        version = self._packages.intact(standing.arm, stated=not standing.issued.former)
        self._packages.try_once(version)
        self.standing, self.issued = replace(standing, passed=True), standing.issued
        self._last_good.keep(standing.issued, {(version.version, version.digest): version.folder})
        show_plan(standing.issued.plan, self.versions, self.serving)

    def leave(self) -> bool:
        """Let the loaded version go, so that it stands by; say whether it did. Requests in flight
        keep what they hold.
        """
        if not self._changing.acquire(blocking=False):
            return False
        try:
            if not self.may_leave:
                return False
            self.traffic = None
            show_loaded(self.use_case.name, self.serving)
            return True
        finally:
            self._changing.release()

    def _is_standing(self, plan: Plan | None) -> bool:
        standing = self.standing
        return self.traffic is None and standing is not None and standing.issued.plan == plan

    def _stand_by(self, issued: IssuedPlan, *, passed: bool) -> None:
        """Put a plan of one version into force without loading it; its files are checked, and
        nothing of them but what they say of themselves is read.
        """
        self._require_newest(issued)
        version = self._packages.intact(issued.plan.arms[0], stated=not issued.former)
        standing, interface = read_standing(issued, version.folder, passed=passed)
        contract = as_read_by(self.use_case, [interface])
        if self._prepare is not None:
            self._prepare(contract)
        self.issued = issued if passed else None
        self._agree(contract)
        self.standing = standing
        show_plan(issued.plan, self.versions, self.serving)

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
        plan = one_arm(self.use_case.name, served.version, served.digest, decided_by="")
        self.traffic = open_traffic(IssuedPlan(plan), {(served.version, served.digest): served})
        self._agree(as_read_by(self.use_case, [served.interface]))

    def _follow(self, issued: IssuedPlan, *, passed: bool = False) -> None:
        self._require_newest(issued)
        again = self.issued is not None and issued.plan == self.issued.plan
        if again and not self.stands_by:
            return
        self.last_requested = time.monotonic()
        models, folders = self._models_of(issued, passed=passed)
        traffic, contract = open_traffic(issued, models), self._contract_of(issued, models)
        if self._prepare is not None:
            self._prepare(contract)
        if self.traffic is None:
            self._agree(contract)
            self.traffic = traffic  # nobody waits for a shadow to be answered
        shadow = self._shadow_of(issued)
        self.standing, self.load_error = standing_of(traffic), None
        self.traffic, self.issued = traffic, issued
        self._agree(contract)
        former, self.shadow = self.shadow, shadow
        if shadow is not None:
            folders[shadow.version.version, shadow.version.digest] = shadow.version.folder
        if former is not None and former is not shadow:
            former.stop()
        if not again:
            self._last_good.keep(issued, folders)
        show_plan(issued.plan, self.versions, self.serving)

    def _models_of(
        self, issued: IssuedPlan, *, passed: bool
    ) -> tuple[dict[Key, ServedModel], dict[Key, Path]]:
        """The loaded versions of a plan, beside those in force; and the folders of the new ones."""
        models = {} if self.traffic is None else self.traffic.models()
        folders: dict[Key, Path] = {}
        for arm in issued.plan.arms:
            key = (arm.version, arm.digest)
            if key not in models:
                version = self._packages.intact(arm, stated=not issued.former)
                models[key] = self._packages.load(version, passed=passed)
                folders[key] = version.folder
        return models, folders

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
            shadow = self._packages.intact(planned, stated=not issued.former)
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
        version = self._packages.intact(planned, stated=not issued.former)
        shadow = Shadow(self._settings, self.use_case, version, self._packages.public_key)
        shadow.start(issued.plan.sequence)
        return shadow
