"""Deploying a bundle and taking it back.

Nothing changes before the end-to-end run has accepted the bundle; then one row of the record says
that it runs. A kill at any moment leaves what ran before.
"""

from __future__ import annotations

import getpass
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cli.bundles.end_to_end import Trial, problems_there, try_bundle
from cli.bundles.named import NamedBundle
from include.bundles.acceptance import Acceptance
from include.bundles.archive import trusted_keys
from include.bundles.deployments import Decision, Deployment, Deployments, Event
from include.bundles.manifest import Manifest, short
from include.bundles.requirements import require_installed
from include.bundles.unpacked import kept_bundle, unpack, version_root
from include.errors import BundleError
from include.files import locked
from include.settings import Settings
from include.settings.environments import ENVIRONMENTS

WAIT_SECONDS = 0.5
MOST_NAMES = 5
TRIALS_OF_SPECIFICATIONS = ("dev", "test")
"""Where a specification may be replaced for a trial, so also when a bundle is tried."""


@dataclass(frozen=True)
class Deployed:
    """What a deployment came to: the row that was recorded, None where the version ran already,
    and in sentences why it was refused.
    """

    row: Deployment | None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Request:
    """What is asked of a deployment: `override` says why a bundle is taken that the environment
    before has not accepted, `options` are those of the end-to-end run.
    """

    reason: str
    override: str | None = None
    options: tuple[str, ...] = ()


def deploy(settings: Settings, named: NamedBundle, request: Request) -> Deployed:
    """Try a bundle that holds in this environment, and let it run here if it is accepted.

    Raises `BundleError` where it may not be tried: another deployment is at work, other packages
    are installed than it locks, or the environment before has not accepted it.
    """
    bundle, manifest = named.bundle, named.bundle.manifest
    deployments = Deployments(settings)
    with _only_one(settings):
        if deployments.current() == bundle.version:
            return Deployed(None)
        _require_own_specifications(settings)
        root = unpack(settings, bundle)
        require_installed(root)
        evidence = _promotion(settings, named, request.override)
        record = _Recorder(deployments, manifest, request.reason)
        record("begun", evidence)
        trials, reasons = _tried(settings, root, manifest, request.options)
        evidence = {**evidence, "trials": [trial.as_json for trial in trials], "reasons": reasons}
        if reasons:
            return Deployed(record("refused", evidence), tuple(reasons))
        if trials:
            named.accept(_acceptance(settings, bundle.version, trials))
        return Deployed(record("deployed", evidence))


def roll_back(settings: Settings, version: str | None, reason: str) -> Deployment:
    """Let the version run that ran before, or one that was deployed here earlier.

    Raises `BundleError` where there is none, or what it needs is not installed.
    """
    deployments = Deployments(settings)
    with _only_one(settings):
        target = _target(deployments, version)
        root = version_root(settings, target)
        require_installed(root)
        manifest = kept_bundle(settings, target).manifest
        return _Recorder(deployments, manifest, reason)("rolled_back", {})


@dataclass(frozen=True)
class _Recorder:
    """Records what is decided about one version, by whoever calls the command."""

    deployments: Deployments
    manifest: Manifest
    reason: str

    def __call__(self, event: Event, evidence: dict[str, Any]) -> Deployment:
        return self.deployments.record(
            Decision(
                event=event,
                version=self.manifest.version,
                code_commit=self.manifest.commit,
                actor=getpass.getuser(),
                reason=self.reason,
                evidence=evidence,
            )
        )


def _tried(
    settings: Settings, root: Path, manifest: Manifest, options: Sequence[str]
) -> tuple[list[Trial], list[str]]:
    """The trials, and why the bundle is not taken; production tries nothing itself."""
    if ENVIRONMENTS[settings.environment].released_after is not None:
        return [], problems_there(settings, root)
    names = sorted(manifest.specifications)
    if not names:
        return [], ["There is no use case in the bundle: nothing of it can be tried."]
    trials = []
    for trial in try_bundle(settings, root, names, options):
        trials.append(trial)
        if trial.reasons:
            break
    return trials, [reason for trial in trials for reason in trial.reasons]


def _promotion(settings: Settings, named: NamedBundle, override: str | None) -> dict[str, Any]:
    """By what right the bundle comes here. Raises `BundleError` where it has none."""
    before = ENVIRONMENTS[settings.environment].released_after
    facts: dict[str, Any] = {"from": named.where, "dirty": list(named.bundle.manifest.dirty)}
    if before is None:
        return facts
    if override:
        return {**facts, "override": override}
    _require_committed(settings, named.bundle.manifest)
    keys = trusted_keys(settings)
    accepted = [
        acceptance
        for acceptance in named.acceptances()
        if acceptance.version == named.bundle.version
        and acceptance.environment == before
        and acceptance.is_signed_by(keys)
    ]
    if accepted:
        return {**facts, "accepted": accepted[0].as_json}
    raise BundleError(
        f"{settings.environment} takes what {before} has accepted, and of"
        f" {short(named.bundle.version)} there is no such statement that a trusted key has signed,"
        f" in {named.where}. Run `flightdeck bundle deploy {short(named.bundle.version)} --to"
        f" {before}` first; or give --override with the reason why this bundle need not."
    )


def _require_committed(settings: Settings, manifest: Manifest) -> None:
    if manifest.dirty:
        raise BundleError(
            f"The bundle was built where {', '.join(manifest.dirty[:MOST_NAMES])} was not as"
            f" committed: {settings.environment} takes what can be built again from its commit."
            " Commit, build and try that one; or give --override with the reason."
        )


def _acceptance(settings: Settings, version: str, trials: Sequence[Trial]) -> Acceptance:
    return Acceptance(
        version=version,
        environment=settings.environment,
        accepted_at=datetime.now(UTC).isoformat(timespec="seconds"),
        actor=getpass.getuser(),
        tried=tuple(trial.use_case for trial in trials),
    ).signed(settings)


def _require_own_specifications(settings: Settings) -> None:
    if settings.spec_overlay is not None and settings.environment not in TRIALS_OF_SPECIFICATIONS:
        raise BundleError(
            f"FLIGHTDECK_SPEC_OVERLAY names {settings.spec_overlay}: the bundle would be tried with"
            " other specifications than it has. Unset the variable."
        )


def _target(deployments: Deployments, version: str | None) -> str:
    """The version to go back to."""
    current = deployments.current()
    if current is None:
        raise BundleError("No bundle is deployed here: there is nothing to roll back.")
    if version is None:
        before = deployments.before()
        if before is None:
            raise BundleError(
                f"Before {short(current)} no bundle ran here: there is none to go back to. Deploy"
                " one that is built from an earlier commit; or let the checkout run again"
                " (docs/pipeline-releases.md)."
            )
        return before
    past = {row.version for row in deployments.rows() if row.event == "deployed"}
    fitting = sorted(name for name in past if name.startswith(version) and name != current)
    if len(fitting) != 1:
        valid = ", ".join(short(name) for name in sorted(past - {current})) or "none"
        raise BundleError(
            f"{version!r} is no one version that was deployed here and does not run now; valid:"
            f" {valid}."
        )
    return fitting[0]


@contextmanager
def _only_one(settings: Settings) -> Iterator[None]:
    """Hold the home's lock of deployments, which ends with its holder."""
    with ExitStack() as stack:
        try:
            lock = locked(settings.pipelines_dir / "deploy.lock", seconds=WAIT_SECONDS)
            stack.enter_context(lock)
        except TimeoutError as error:
            raise BundleError(
                f"Another deployment is at work in {settings.home} (`flightdeck bundle status`):"
                " call again when it has ended."
            ) from error
        yield
