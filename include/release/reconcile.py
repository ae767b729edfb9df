"""The ledger against its projections: MLflow's alias `champion`, the plan that the endpoint
follows, and the package that it may have to load again.

Whoever changed one of them by hand is noticed: what can be put back is put back, with a row
`repaired` that says what it was; everything else is named.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from include.errors import FlightdeckError, LedgerBroken, ReleaseError
from include.files import locked
from include.registry import versions
from include.registry.client import unreachable
from include.release.ledger import Entry, Ledger, Mark, ServedArm, Traffic, Witness
from include.release.packages import restore_package, stored_problem
from include.release.plan import (
    Plan,
    one_arm,
    plan_place,
    plan_written,
    planned,
    read_plan,
    write_plan,
)
from include.settings import Settings
from include.spec import UseCase
from include.verdict import Finding

RECONCILER = "flightdeck"
# A release writes the ledger and the plan one after the other, and waits for the endpoint between.
SETTLED_SECONDS = 900.0
LOCK_SECONDS = 300.0


def require_sound_ledger(settings: Settings) -> Mark:
    """Verify the ledger since the last time, with what the plans have written down; raises
    `LedgerBroken`, by which a release stops before it has begun.
    """
    return Ledger(settings).verify_new(witnesses=witnesses(settings))


def witnesses(settings: Settings) -> list[Witness]:
    """The rows of the ledger that the signed plans of all use cases name."""
    plans = []
    for use_case in planned(settings):
        with suppress(FlightdeckError, OSError):
            plan = read_plan(settings, use_case)
            # A plan that was written by hand names no row.
            if plan is not None and len(plan.decided_by) == 64:  # of SHA-256
                place = plan_place(settings, use_case)
                plans.append(Witness(plan.sequence, plan.decided_by, place))
    return plans


def check(
    settings: Settings,
    use_case: UseCase,
    *,
    run: dict[str, Any] | None = None,
    settled_seconds: float = SETTLED_SECONDS,
) -> list[Finding]:
    """Whether the ledger holds, and where it does what `reconcile` finds."""
    ledger = ledger_finding(settings)
    if not ledger.passed:
        return [ledger]
    return [ledger, *reconcile(settings, use_case, run=run, settled_seconds=settled_seconds)]


def ledger_finding(settings: Settings) -> Finding:
    """Whether the ledger holds, as a finding that names row and kind of a break."""
    try:
        mark = require_sound_ledger(settings)
    except LedgerBroken as error:
        return Finding(
            rule="ledger", subject=error.kind, observed=error.row, passed=False, reason=str(error)
        )
    except FlightdeckError as error:
        return Finding(rule="ledger", passed=False, judged=False, reason=str(error))
    return Finding(
        rule="ledger", observed=mark.number, passed=True, reason=f"All {mark.number} rows hold."
    )


def reconcile(
    settings: Settings,
    use_case: UseCase,
    *,
    run: dict[str, Any] | None = None,
    settled_seconds: float = SETTLED_SECONDS,
) -> list[Finding]:
    """Compare the projections with the ledger, repair what can be, and name the rest.

    A finding that passed is in order, or was repaired; its reason says which. Nothing is repaired
    where the newest row or the plan is younger than `settled_seconds`: a release may be under way.
    Raises `LedgerBroken` where there is no truth to compare with.
    """
    require_sound_ledger(settings)
    ledger = Ledger(settings)
    with _alone(settings, use_case.name):
        traffic = ledger.traffic(use_case.name)
        if traffic is None:
            return []
        settled = _age(settings, traffic) >= settled_seconds
        repairs = _Repairs(settings, use_case, ledger, traffic, run)
        findings = list(repairs.packages())
        findings.append(repairs.plan(settled=settled))
        if traffic.entry.event != "traffic":
            findings.append(repairs.champion(settled=settled))
        return findings


def notable(findings: Sequence[Finding]) -> tuple[str, ...]:
    """A sentence for each finding that is not simply in order: repaired, named, or not judged."""
    return tuple(
        finding.sentence
        for finding in findings
        if finding.outcome != "passed" or finding.example is not None
    )


class _Repairs:
    """One use case's projections, each looked at in turn."""

    def __init__(
        self,
        settings: Settings,
        use_case: UseCase,
        ledger: Ledger,
        traffic: Traffic,
        run: dict[str, Any] | None,
    ) -> None:
        self.settings, self.use_case, self.name = settings, use_case, use_case.name
        self.ledger, self.traffic, self.run = ledger, traffic, run

    def packages(self) -> Iterator[Finding]:
        """The package of every version that answers must be whole."""
        for arm in self.traffic.arms:
            problem = stored_problem(self.settings, self.name, arm.version, arm.digest)
            if problem is None:
                yield _in_order("package", f"version {arm.version}", "It is whole.")
                continue
            try:
                source = restore_package(self.settings, self.name, arm.version, arm.digest)
            except FlightdeckError as error:
                yield _named("package", f"version {arm.version}", str(error))
            else:
                reason = f"{problem} It was restored from {source}."
                yield self._repaired(arm, "package", f"version {arm.version}", reason)

    def plan(self, *, settled: bool) -> Finding:
        """The plan must name the arms of the ledger's newest row about the traffic."""
        path = plan_place(self.settings, self.name)
        try:
            plan = read_plan(self.settings, self.name)
        except FlightdeckError as error:
            problem = str(error)
        else:
            if plan is not None and _arms(plan) == self.traffic.arms:
                return _in_order("plan", "", "It names what the ledger says.")
            problem = (
                f"{path} {_text(plan)}, and row {self.traffic.entry.number} of the ledger says"
                f" {_listed(self.traffic.arms)}."
            )
        if not settled:
            return _waiting("plan", problem)
        if self.traffic.entry.event == "traffic":
            return _named("plan", "", problem)
        return self._write_plan(problem)

    def champion(self, *, settled: bool) -> Finding:
        """MLflow's alias must point at the champion, whose version must be there."""
        arm = self.traffic.champion
        if arm is None:
            return _in_order("alias", "champion", "No version is in service.")
        away = unreachable(self.settings)
        if away is not None:
            return _unasked(away)
        try:
            registered = versions.find_version(self.settings, self.name, arm.version)
            pointed = versions.champion(self.settings, self.use_case)
        except FlightdeckError as error:
            return _unasked(str(error))
        if registered is None:
            return _named(
                "alias",
                "champion",
                f"Version {arm.version}, the champion, was deleted in MLflow; its signed package"
                " goes on serving. Release another version.",
            )
        if registered.digest != arm.digest:
            return _named(
                "digest",
                f"version {arm.version}",
                f"MLflow's tag says {registered.digest[:16]}, and the ledger {arm.digest[:16]}: it"
                " was changed.",
            )
        if pointed is not None and pointed.version == arm.version:
            return _in_order("alias", "champion", f"It points at version {arm.version}.")
        where = "was removed" if pointed is None else f"pointed at version {pointed.version}"
        problem = f"The alias champion {where}, and version {arm.version} is in service."
        if not settled:
            return _waiting("alias", problem)
        versions.set_champion(self.settings, self.use_case, arm.version)
        return self._repaired(arm, "alias", "champion", f"{problem} It points there again.")

    def _write_plan(self, problem: str) -> Finding:
        arm = self.traffic.champion
        if arm is None:
            return _named("plan", "", problem)
        finding, row = self._row(arm, "plan", "", f"{problem} It was written anew.")
        release = self.use_case.release
        written = one_arm(
            self.name,
            arm.version,
            arm.digest,
            sequence=row.number,
            unit=release.unit_of(self.use_case),
            salt=release.salt_of(self.use_case),
            decided_by=row.hash,
        )
        write_plan(self.settings, written)
        return finding

    def _repaired(self, arm: ServedArm, rule: str, subject: str, reason: str) -> Finding:
        finding, _ = self._row(arm, rule, subject, reason)
        return finding

    def _row(self, arm: ServedArm, rule: str, subject: str, reason: str) -> tuple[Finding, Entry]:
        step = f"{rule} {subject} {time.time_ns()}"
        evidence: dict[str, Any] = {"rule": rule, "subject": subject, "step": step}
        if self.run is not None:
            evidence["run"] = self.run
        row = self.ledger.append(
            "repaired", self.name, arm.version, arm.digest, RECONCILER, reason, evidence
        )
        finding = Finding(
            rule=rule,
            subject=subject,
            passed=True,
            reason=f"{reason[:-1]} (row {row.number} of the ledger).",
            example={"repaired": row.number},
        )
        return finding, row


@contextmanager
def _alone(settings: Settings, use_case: str) -> Iterator[None]:
    """Of two copies one repairs, and the other finds it done."""
    path = settings.home / "locks" / f"reconcile-{use_case}.lock"
    try:
        with locked(path, seconds=LOCK_SECONDS):
            yield
    except TimeoutError as error:
        raise ReleaseError(
            f"Another process holds {path} and does not end; end it, or run the task again later."
        ) from error


def _in_order(rule: str, subject: str, reason: str) -> Finding:
    return Finding(rule=rule, subject=subject, passed=True, reason=reason)


def _named(rule: str, subject: str, reason: str) -> Finding:
    return Finding(rule=rule, subject=subject, passed=False, reason=reason)


def _unasked(reason: str) -> Finding:
    return Finding(rule="alias", subject="champion", passed=True, judged=False, reason=reason)


def _waiting(rule: str, problem: str) -> Finding:
    reason = f"{problem} It is not repaired yet: a release may be under way."
    return Finding(rule=rule, passed=True, judged=False, reason=reason)


def _age(settings: Settings, traffic: Traffic) -> float:
    """Seconds since the newest row about the traffic, or the plan, whichever is younger."""
    ages = [(datetime.now(UTC) - traffic.entry.recorded_at).total_seconds()]
    written = plan_written(settings, traffic.entry.use_case)
    if written is not None:
        ages.append(time.time() - written)
    return min(ages)


def _arms(plan: Plan) -> tuple[ServedArm, ...]:
    return tuple(ServedArm(arm.role, arm.version, arm.digest, arm.share) for arm in plan.versions)


def _text(plan: Plan | None) -> str:
    return "is missing" if plan is None else f"says {_listed(_arms(plan))}"


def _listed(arms: tuple[ServedArm, ...]) -> str:
    return ", ".join(f"version {arm.version} at {arm.share:.0%}" for arm in arms) or "nothing"
