"""The steps of a deployment: select a version, package it, check the package, promote it.

What happens between check and promotion is a matter of the use case's strategy
(`include.processes.rollout`) and approval (`include.processes.approval`).
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from include.errors import FlightdeckError, ReleaseError
from include.processes.approval import actor_of, claim_of
from include.processes.promotion import Promotion
from include.processes.results import PackagedModel, PackageVerdict, Release, SelectedVersion
from include.registry import versions
from include.release import checks
from include.release.alias import follow_with_alias
from include.release.endpoint import smoke_test, wait_until_serving
from include.release.followers import wait_until_followed
from include.release.ledger import Entry, Ledger
from include.release.model_store import publish
from include.release.plan import Plan
from include.release.reconcile import notable, reconcile, require_sound_ledger
from include.release.retirement import is_retired
from include.release.rollout.conditions import PACKAGE_STEP, require_conditions
from include.release.rollout.overrides import gate_override
from include.steps import StepContext
from include.verdict import PACKAGE_COLUMNS

SERVING_SECONDS = 120.0


def select_version(context: StepContext) -> SelectedVersion:
    """Select the version of parameter `version`, or the challenger, and put back what somebody has
    changed of the release before.

    Raises `LedgerBroken` before anything else where the ledger does not hold, `ReleaseError` when
    there is no version, or when its gates did not accept it.
    """
    reconciled = reconcile(context.settings, context.use_case, run=context.run.as_json())
    number = context.run.params.get("version")
    if number is None:
        _require_not_retired(context)
        selected: versions.RegisteredVersion | None = versions.challenger(
            context.settings, context.use_case
        )
        reason = "the challenger"
    else:
        selected = versions.version(context.settings, context.use_case, int(number))
        reason = f"version {number} was asked for"
    if selected is None:
        raise ReleaseError(
            f"{context.use_case.name} has no challenger yet; run"
            f" {context.use_case.dag_id('training')} first."
        )
    override = _require_gates(context, selected)
    stated = context.run.params.get("reason")
    newest = Ledger(context.settings).newest(context.use_case.name)
    if override is not None:
        reason += f", although its gates refused it ({override.actor}: {override.reason})"
    return SelectedVersion(
        version=selected.version,
        digest=selected.digest,
        mlflow_run_id=selected.run_id,
        reason=f"{reason}: {stated}" if stated else reason,
        after=0 if newest is None else newest.number,
        reconciled=notable(reconciled),
    )


def _require_not_retired(context: StepContext) -> None:
    """Raise `ReleaseError` where the use case was retired: then a person alone brings it back."""
    name = context.use_case.name
    if is_retired(context.settings, name):
        raise ReleaseError(
            f"{name} was retired: no version of it is released by itself. Start"
            f" {context.use_case.dag_id('deployment')} with a version, or take the retirement back:"
            f" flightdeck rollback {name} --to VERSION."
        )


def _require_gates(context: StepContext, selected: versions.RegisteredVersion) -> Entry | None:
    """The override in the ledger by which a version that its gates refused may serve; None where
    they accepted it.
    """
    decision = selected.tags.get("decision")
    if decision == "accepted":
        return None
    rows = Ledger(context.settings).rows(context.use_case.name)
    override = gate_override(rows, selected.version, selected.digest)
    if override is None:
        raise ReleaseError(
            f"Version {selected.version} of {context.use_case.name} carries no accepted verdict"
            f" (tag decision is {decision!r}), and the ledger has no override of its gates; only a"
            " version that passed the gates may serve. Somebody of release.overriders may let it be"
            f" tried: flightdeck override {selected.name} {selected.version} --reason WHY."
        )
    return override


def package_model(context: StepContext, selected: SelectedVersion) -> PackagedModel:
    """Fetch the selected version's package, verify it and put it into the model store; it does not
    serve yet.

    A copy that is already there and intact stays, a damaged one is replaced.
    """
    number, digest = selected.version, selected.digest
    registered = versions.version(context.settings, context.use_case, number)
    if registered.digest != digest:
        raise ReleaseError(
            f"Version {number} now has digest {registered.digest[:16]}, but {digest[:16]} was"
            " selected. Start again."
        )
    with TemporaryDirectory(prefix="flightdeck-package-") as folder:
        package = versions.download(registered, Path(folder))
        stored = publish(context.settings, context.use_case.name, package, number, digest)
    size = sum(path.stat().st_size for path in stored.rglob("*") if path.is_file())
    return PackagedModel(version=number, digest=digest, folder=str(stored), bytes=size)


def check_package(context: StepContext, packaged: PackagedModel) -> PackageVerdict:
    """Check the package in the model store, and record the verdict in the ledger."""
    verdict = checks.check_package(
        Path(packaged.folder), packaged.digest, context.use_case, settings=context.settings
    )
    rows = {finding.rule: finding.as_row(PACKAGE_COLUMNS) for finding in verdict.findings}
    outcome = "passed" if verdict.accepted else "failed"
    Ledger(context.settings).append(
        "verdict",
        context.use_case.name,
        packaged.version,
        packaged.digest,
        actor_of(context),
        " ".join(verdict.reasons) or f"{len(rows)} checks passed",
        {
            "run": context.run.as_json(),
            "about": PACKAGE_STEP,
            "step": f"{PACKAGE_STEP} {outcome}, try {context.run.try_number}",
            "outcome": outcome,
            "checks": rows,
        },
    )
    return PackageVerdict(
        accepted=verdict.accepted,
        reasons=tuple(verdict.reasons),
        checks=rows,
        version=packaged.version,
        digest=packaged.digest,
    )


def promote_version(
    context: StepContext, selected: SelectedVersion, verdict: PackageVerdict
) -> Release:
    """Give the version all traffic, see that every endpoint process serves it and answers its
    golden rows, record the promotion in the ledger, then let the alias `champion` follow.

    Repeating it adds no row and gives the same result. When the endpoint does not take the version,
    or fails its smoke test, the previous one has all traffic again, the ledger says `rolled_back`
    and `ReleaseError` is raised; it is raised too, and nothing changed, when the ledger lacks what
    must be proved before. `LateStep` is raised, and nothing changed, when somebody else changed the
    traffic since this version was selected.
    """
    number, digest = _checked(selected, verdict)
    settings, name = context.settings, context.use_case.name
    require_sound_ledger(settings)
    ledger, claim = Ledger(settings), claim_of(context, number, digest)
    require_conditions(context.use_case.release, claim, ledger.rows(name))
    previous = ledger.promotion_before(name, selected.after, number, digest, run=claim.run)
    promotion = Promotion(context, ledger, claim, previous, selected.after)
    entry = promotion.finished() or _promote(promotion, selected, verdict)
    return Release(
        version=number,
        digest=digest,
        previous_version=None if previous is None else previous.version,
        ledger_row=entry.number,
        changed=entry != previous,
        alias_problem=follow_with_alias(settings, context.use_case, number),
    )


def _promote(promotion: Promotion, selected: SelectedVersion, verdict: PackageVerdict) -> Entry:
    context, claim = promotion.context, promotion.claim
    plan = promotion.begin()
    try:
        seen = _served(context, plan, claim.version, claim.digest)
    except FlightdeckError as error:
        done = promotion.finished()
        if done is not None:
            return done
        promotion.take_back(str(error))
        raise
    if promotion.settled() is not None and promotion.previous is not None:
        return promotion.previous
    evidence = {**_evidence(context, selected, verdict), **seen}
    return promotion.complete(selected.reason, evidence)


def _served(context: StepContext, plan: Plan, number: int, digest: str) -> dict[str, Any]:
    """What the endpoint answered when every process of it served the plan."""
    settings, name = context.settings, context.use_case.name
    answered = wait_until_serving(
        settings, name, number, digest, seconds=SERVING_SECONDS, plan=plan
    )
    followers = wait_until_followed(settings, plan, seconds=SERVING_SECONDS)
    smoke = smoke_test(settings, name, limit_ms=context.use_case.serving.max_smoke_ms)
    return {
        "endpoint": answered,
        "processes": [follower.process.name for follower in followers],
        "smoke": smoke,
    }


def _evidence(
    context: StepContext, selected: SelectedVersion, verdict: PackageVerdict
) -> dict[str, Any]:
    return {
        "interval": context.interval.as_json(),
        "mlflow_run_id": selected.mlflow_run_id,
        "checks": verdict.checks,
    }


def _checked(selected: SelectedVersion, verdict: PackageVerdict) -> tuple[int, str]:
    """What was selected, packaged and checked must be one thing, and accepted."""
    if verdict.accepted is not True:
        raise ReleaseError(
            f"The package of version {selected.version} was refused: {list(verdict.reasons)}."
        )
    if (verdict.version, verdict.digest) != (selected.version, selected.digest):
        raise ReleaseError(
            f"Checked was version {verdict.version}, selected is {selected.version}: start the"
            " deployment again."
        )
    return selected.version, selected.digest
