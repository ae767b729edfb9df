"""The steps of a deployment: select a version, package it, check the package, put it into
service.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from include.errors import FlightdeckError, ReleaseError
from include.processes.results import PackagedModel, PackageVerdict, Release, SelectedVersion
from include.registry import versions
from include.release import checks
from include.release.endpoint import smoke_test, wait_until_serving
from include.release.ledger import Entry, Ledger, run_name
from include.release.model_store import publish, set_desired, version_folder, withdraw
from include.release.reconcile import notable, reconcile
from include.started_by import events_of, who_started
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
    if selected.tags.get("decision") != "accepted":
        raise ReleaseError(
            f"Version {selected.version} of {context.use_case.name} carries no accepted verdict"
            f" (tag decision is {selected.tags.get('decision')!r}); only a version that passed the"
            " gates may serve."
        )
    stated = context.run.params.get("reason")
    newest = Ledger(context.settings).newest(context.use_case.name)
    return SelectedVersion(
        version=selected.version,
        digest=selected.digest,
        mlflow_run_id=selected.run_id,
        reason=f"{reason}: {stated}" if stated else reason,
        after=0 if newest is None else newest.number,
        reconciled=notable(reconciled),
    )


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
    """Check the package in the model store."""
    verdict = checks.check_package(Path(packaged.folder), packaged.digest, context.use_case)
    return PackageVerdict(
        accepted=verdict.accepted,
        reasons=tuple(verdict.reasons),
        checks={finding.rule: finding.as_row(PACKAGE_COLUMNS) for finding in verdict.findings},
        version=packaged.version,
        digest=packaged.digest,
    )


def put_into_service(
    context: StepContext, selected: SelectedVersion, verdict: PackageVerdict
) -> Release:
    """Let the endpoint swap to the version, see that it does, record it in the ledger, then move
    the alias `champion`.

    Repeating it for the version in service adds no row and gives the same result. When the endpoint
    does not take the version, or fails its smoke test, the previous one is desired again, the
    ledger says `rolled_back` and `ReleaseError` is raised. `LateStep` is raised, and nothing
    changed, when another version was promoted since this one was selected.
    """
    number, digest = _checked(selected, verdict)
    settings, name = context.settings, context.use_case.name
    ledger = Ledger(settings)
    newest = ledger.newest(name)
    after = (0 if newest is None else newest.number) if selected.after is None else selected.after
    run = run_name({"run": context.run.as_json()})
    previous = ledger.promotion_before(name, after, number, digest, run=run)
    set_desired(settings, name, number, digest)
    try:
        answered = wait_until_serving(settings, name, number, digest, seconds=SERVING_SECONDS)
        smoke = smoke_test(settings, name, limit_ms=context.use_case.serving.max_smoke_ms)
    except FlightdeckError as error:
        _roll_back(context, ledger, previous, number, digest, error)
        raise
    changed = previous is None or (previous.version, previous.digest) != (number, digest)
    entry = previous
    if changed or entry is None:
        evidence = {**_evidence(context, selected, verdict), "endpoint": answered, "smoke": smoke}
        entry = ledger.append(
            "promoted",
            name,
            number,
            digest,
            _actor(context),
            selected.reason,
            evidence,
            after=after,
        )
    versions.set_champion(settings, context.use_case, number)
    return Release(
        version=number,
        digest=digest,
        previous_version=None if previous is None else previous.version,
        ledger_row=entry.number,
        changed=changed,
    )


def _roll_back(
    context: StepContext,
    ledger: Ledger,
    previous: Entry | None,
    number: int,
    digest: str,
    error: FlightdeckError,
) -> None:
    settings, name = context.settings, context.use_case.name
    if previous is not None and version_folder(settings, name, previous.version).is_dir():
        set_desired(settings, name, previous.version, previous.digest)
    else:
        withdraw(settings, name)
    if previous is not None and (previous.version, previous.digest) == (number, digest):
        # this very version is in service since an earlier run: there is nothing to take back
        return
    evidence = {
        "run": context.run.as_json(),
        "back_to": None if previous is None else previous.version,
    }
    ledger.append("rolled_back", name, number, digest, _actor(context), str(error), evidence)


def _evidence(
    context: StepContext, selected: SelectedVersion, verdict: PackageVerdict
) -> dict[str, Any]:
    return {
        "run": context.run.as_json(),
        "interval": context.interval.as_json(),
        "mlflow_run_id": selected.mlflow_run_id,
        "checks": verdict.checks,
    }


def _actor(context: StepContext) -> str:
    run = context.run
    events = [
        (event["asset"], event.get("source_dag_id")) for event in run.causes if "asset" in event
    ]
    return who_started([], run.trigger, run.triggered_by or events_of(events))


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
