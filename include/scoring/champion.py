"""A registered version on this machine: fetched from the registry once, verified at every load."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from include.errors import RegistryError
from include.files import publishing
from include.model.package import ScoringModel, load_model
from include.registry.versions import RegisteredVersion, champion, download
from include.registry.versions import version as registered_version
from include.settings import Settings
from include.spec import UseCase


def champion_model(settings: Settings, use_case: UseCase) -> tuple[RegisteredVersion, ScoringModel]:
    """The champion and its loaded model.

    Raises `RegistryError` when no version is in service yet.
    """
    version = champion(settings, use_case)
    if version is None:
        raise RegistryError(
            f"{use_case.name} has no champion in {settings.mlflow_tracking_uri}. Run"
            f" {use_case.dag_id('training')}, and then {use_case.dag_id('deployment')} for the"
            " version that it registers."
        )
    return version, registered_model(settings, use_case, version)


def planned_model(settings: Settings, use_case: UseCase, version: int, digest: str) -> ScoringModel:
    """The model that a plan names: the registry is asked only where its package is not on this
    machine yet.

    Raises `DigestMismatch` when the version is not the one with `digest`.
    """
    folder = _folder(settings, use_case, version)
    if not folder.exists():
        _fetch(registered_version(settings, use_case, version), folder)
    return load_model(folder, expected_digest=digest, threads=settings.training_threads)


def registered_model(
    settings: Settings, use_case: UseCase, registered: RegisteredVersion
) -> ScoringModel:
    """One version's loaded model, from `home/work/champions/<use_case>/<version>` once it has been
    fetched.

    Raises `DigestMismatch` when the copy differs from what was registered: remove that folder and
    it is fetched again.
    """
    folder = _folder(settings, use_case, registered.version)
    if not folder.exists():
        _fetch(registered, folder)
    return load_model(folder, expected_digest=registered.digest, threads=settings.training_threads)


def _folder(settings: Settings, use_case: UseCase, version: int) -> Path:
    return settings.home / "work" / "champions" / use_case.name / str(version)


def _fetch(registered: RegisteredVersion, folder: Path) -> None:
    """Fetch the package: a killed process leaves no half copy, and of two at once the first one's
    copy stays.
    """
    with suppress(FileExistsError), publishing(folder, replace=False) as aside:
        package = download(registered, aside / "fetched")
        for path in list(package.iterdir()):
            path.rename(aside / path.name)
        shutil.rmtree(aside / "fetched")
