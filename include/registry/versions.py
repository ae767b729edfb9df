"""The versions of a use case's registered model in MLflow, and the aliases that point at them.

MLflow's aliases have no compare-and-swap and no history: they are a projection for people. Whoever
releases a version holds its number and digest, and asks for exactly those.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from include.errors import RegistryError
from include.model.package import verify_package
from include.model.signing import attach_signature, public_key, sign_package, verify_signature
from include.registry.client import connect, readable_artifact
from include.registry.describe import Place, version_description, version_tags
from include.registry.logged_model import PACKAGE_ARTIFACT, find_logged_model
from include.registry.one_copy import one_copy
from include.settings import Settings
from include.spec import UseCase
from include.verdict import GateVerdict

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

CHAMPION = "champion"
CHALLENGER = "challenger"
MODELS_SCHEME = "models:/"
SIGNATURE_TAG = "signature"
DELETED = "Deleted_Internal"


@dataclass(frozen=True)
class RegisteredVersion:
    """One version of a registered model.

    `run_id` is the MLflow run that produced it, `digest` that of its package; `signature` was made
    when it was registered (None: it was not signed) and is checked with `public_key`. `description`
    is its page for reviewers, in Markdown. `stored` is a copy of its package beside MLflow, which
    needs no MLflow to be read.
    """

    version: int
    run_id: str
    digest: str
    tags: dict[str, str] = field(default_factory=dict)
    name: str = ""
    source: str = ""
    tracking_uri: str = ""
    signature: str | None = None
    public_key: Path = Path()
    description: str = ""
    stored: Path | None = None


def register_candidate(
    settings: Settings, use_case: UseCase, run_id: str, digest: str, verdict: GateVerdict
) -> int:
    """Make the logged model of MLflow run `run_id` a version with alias `challenger` and return its
    number.

    The run has at most one version: a retry, or a second process at the same time, gets the one
    that exists. Raises `RegistryError` when the verdict does not accept, or when the run holds no
    model with this digest.
    """
    if not verdict.accepted:
        raise RegistryError(
            f"run {run_id} was refused ({verdict.reasons}); only an accepted candidate"
            " becomes a version."
        )
    with one_copy(settings, use_case.name, run_id):
        number = _register(settings, use_case, run_id, digest, verdict)
        _point_challenger(connect(settings), settings, use_case, number)
        return number


def register_refused(
    settings: Settings, use_case: UseCase, run_id: str, digest: str, verdict: GateVerdict
) -> int:
    """The same for a candidate that its gates refused: a version without an alias, tagged
    `decision=refused`. Only an override in the release ledger lets it be released.
    """
    with one_copy(settings, use_case.name, run_id):
        return _register(settings, use_case, run_id, digest, verdict)


def _register(
    settings: Settings, use_case: UseCase, run_id: str, digest: str, verdict: GateVerdict
) -> int:
    client = connect(settings)
    existing = _versions_of_run(client, use_case.name, run_id)
    if not existing:
        _create(client, settings, use_case, run_id, digest, verdict)
        existing = _versions_of_run(client, use_case.name, run_id)
    first = min(existing, key=lambda item: int(item.version))
    if first.tags.get("digest") != digest:
        raise RegistryError(
            f"run {run_id} is already version {first.version} with digest"
            f" {first.tags.get('digest', 'unknown')[:16]}, not {digest[:16]}. Train in a new run: a"
            " version never changes."
        )
    for superfluous in existing:
        if superfluous.version != first.version:
            client.delete_model_version(use_case.name, superfluous.version)
    return int(first.version)


def champion(settings: Settings, use_case: UseCase) -> RegisteredVersion | None:
    """The version with alias `champion`, or `None` before the first deployment."""
    return _by_alias(settings, use_case, CHAMPION)


def challenger(settings: Settings, use_case: UseCase) -> RegisteredVersion | None:
    """The newest accepted version, with alias `challenger`; it keeps the alias when it becomes
    champion.
    """
    return _by_alias(settings, use_case, CHALLENGER)


def version(settings: Settings, use_case: UseCase, number: int) -> RegisteredVersion:
    """One version by number; `RegistryError` when there is none."""
    return version_named(settings, use_case.name, number)


def version_named(settings: Settings, name: str, number: int) -> RegisteredVersion:
    """The same by the model's name, for a model whose use case this checkout need not declare."""
    registered = find_version(settings, name, number)
    if registered is None:
        raise RegistryError(
            f"There is no version {number} of model {name!r} in {settings.mlflow_tracking_uri}."
        )
    return registered


def find_version(settings: Settings, name: str, number: int) -> RegisteredVersion | None:
    """The same, or `None` where MLflow has no such version; `RegistryError` where it cannot be
    asked.
    """
    from mlflow.exceptions import MlflowException

    try:
        registered = connect(settings).get_model_version(name, str(number))
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise RegistryError(
            f"Version {number} of model {name!r} cannot be read from"
            f" {settings.mlflow_tracking_uri}: {error}"
        ) from error
    # A deleted version is still answered by its number.
    return None if registered.current_stage == DELETED else _record(registered, settings)


def set_champion(settings: Settings, use_case: UseCase, number: int) -> None:
    """Point alias `champion` at version `number`, which must exist."""
    version(settings, use_case, number)
    _point(connect(settings), settings, use_case, CHAMPION, number)


def download(version: RegisteredVersion, folder: Path) -> Path:
    """Fetch the version's package below `folder`, verify it against the version's digest and
    signature and return the package folder.

    Raises `RegistryError` when the artefact is missing, `DigestMismatch` when its bytes are not
    those that were registered, `SignatureError` when they are not signed, or not with our key.
    """
    if version.stored is not None:
        package = folder / PACKAGE_ARTIFACT
        shutil.copytree(version.stored, package)
        verify_package(package, version.digest)
        verify_signature(package, version.public_key)
        return package
    package = download_package(
        version.source, version.digest, folder, tracking_uri=version.tracking_uri
    )
    attach_signature(package, version.signature)
    verify_signature(package, version.public_key)
    return package


def download_package(source: str, digest: str, folder: Path, *, tracking_uri: str) -> Path:
    """The same for a logged model's URI (`models:/m-...`), before it is registered."""
    import mlflow
    import mlflow.artifacts
    from mlflow.exceptions import MlflowException

    folder.mkdir(parents=True, exist_ok=True)
    model_id = source.removeprefix(MODELS_SCHEME)
    try:
        location = mlflow.MlflowClient(tracking_uri).get_logged_model(model_id).artifact_location
        uri = readable_artifact(
            f"{location.rstrip('/')}/artifacts/{PACKAGE_ARTIFACT}", tracking_uri
        )
        mlflow.artifacts.download_artifacts(
            artifact_uri=uri, dst_path=str(folder), tracking_uri=tracking_uri
        )
    except (MlflowException, OSError) as error:
        raise RegistryError(
            f"The model package of {source} cannot be fetched from {tracking_uri}: {error}"
        ) from error
    package = next((path.parent for path in sorted(folder.rglob("digest.json"))), None)
    if package is None:
        raise RegistryError(f"The model {source} holds no package: there is no digest.json.")
    verify_package(package, digest)
    return package


def _create(
    client: MlflowClient,
    settings: Settings,
    use_case: UseCase,
    run_id: str,
    digest: str,
    verdict: GateVerdict,
) -> None:
    """One call makes the version with its record and its signature: a kill leaves a whole version
    or none.
    """
    from mlflow.exceptions import MlflowException

    run = client.get_run(run_id)
    model_id = find_logged_model(client, run.info.experiment_id, run_id, digest)
    if model_id is None:
        raise RegistryError(
            f"MLflow run {run_id} holds no model with digest {digest[:16]}; run train_model first."
        )
    source = f"{MODELS_SCHEME}{model_id}"
    with TemporaryDirectory(prefix="flightdeck-register-") as folder:
        package = download_package(
            source, digest, Path(folder), tracking_uri=settings.mlflow_tracking_uri
        )
        signature = sign_package(settings, package, digest)
    try:
        client.create_registered_model(
            use_case.name, description=f"{use_case.title}. {use_case.task}"
        )
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    client.create_model_version(
        use_case.name,
        source=source,
        run_id=run_id,
        model_id=model_id,
        description=version_description(
            verdict,
            run.data.tags,
            run.data.metrics,
            Place.of(settings, use_case, run.info.experiment_id, run_id),
        ),
        tags={**version_tags(verdict, run.data.tags, digest), SIGNATURE_TAG: signature},
    )


def _versions_of_run(client: MlflowClient, name: str, run_id: str) -> list[ModelVersion]:
    return [
        item
        for item in client.search_model_versions(f"name='{name}' and run_id='{run_id}'")
        if item.current_stage != DELETED
    ]


def _point_challenger(
    client: MlflowClient, settings: Settings, use_case: UseCase, number: int
) -> None:
    """Forward only: repeating an old training does not take the alias from a newer version."""
    current = challenger(settings, use_case)
    if current is None or current.version < number:
        _point(client, settings, use_case, CHALLENGER, number)


def _point(
    client: MlflowClient, settings: Settings, use_case: UseCase, alias: str, number: int
) -> None:
    """Two first writers of an alias would both insert it, and MLflow's database refuses one.

    The lock orders those that share a home; whoever lost against another host writes once more,
    and finds the alias there.
    """
    from mlflow.exceptions import MlflowException

    with one_copy(settings, use_case.name, f"alias {alias}"):
        try:
            client.set_registered_model_alias(use_case.name, alias, str(number))
        except MlflowException:
            client.set_registered_model_alias(use_case.name, alias, str(number))


def _by_alias(settings: Settings, use_case: UseCase, alias: str) -> RegisteredVersion | None:
    from mlflow.exceptions import MlflowException

    client = connect(settings)
    try:
        registered = client.get_model_version_by_alias(use_case.name, alias)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST" or "not found" in str(error):
            return None
        raise RegistryError(
            f"The alias {alias!r} of model {use_case.name!r} cannot be read: {error}"
        ) from error
    return _record(registered, settings)


def _record(registered: ModelVersion, settings: Settings) -> RegisteredVersion:
    tags = dict(registered.tags)
    signature = tags.pop(SIGNATURE_TAG, None)
    if "digest" not in tags:
        raise RegistryError(
            f"Version {registered.version} of model {registered.name!r} has no tag 'digest': it was"
            " not registered by Flightdeck."
        )
    return RegisteredVersion(
        version=int(registered.version),
        run_id=str(registered.run_id),
        digest=tags["digest"],
        tags=tags,
        name=str(registered.name),
        source=str(registered.source),
        tracking_uri=settings.mlflow_tracking_uri,
        signature=signature,
        public_key=public_key(settings),
        description=str(registered.description or ""),
    )
