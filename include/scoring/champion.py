"""The version that scores batches, on this machine: fetched once, verified at every load."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from include.errors import DataError, RegistryError
from include.features.version_interface import VersionInterface, as_read_by, undeclared_sources
from include.files import publishing
from include.model.package import ScoringModel, load_model
from include.registry.versions import RegisteredVersion, download
from include.registry.versions import version as registered_version
from include.release.in_service import released_version
from include.release.model_store import version_folder
from include.release.packages import package_problem
from include.settings import Settings
from include.spec import UseCase


def champion_model(settings: Settings, use_case: UseCase) -> tuple[RegisteredVersion, ScoringModel]:
    """The champion of the release ledger and its loaded model; of a home without a release that of
    MLflow's alias.

    Raises `RegistryError` when no version is in service yet.
    """
    version = released_version(settings, use_case)
    if version is None:
        raise RegistryError(
            f"{use_case.name} has no champion in {settings.mlflow_tracking_uri}. Run"
            f" {use_case.dag_id('training')}, and then {use_case.dag_id('deployment')} for the"
            " version that it registers."
        )
    return version, planned_model(settings, use_case, version.version, version.digest)


def planned_model(settings: Settings, use_case: UseCase, version: int, digest: str) -> ScoringModel:
    """The model that a plan names, from below `Settings.home` (work/champions) once it was
    copied there from the model store, or fetched from the registry where it was never released.

    Raises `DigestMismatch` when the copy is not the version with `digest`: remove that folder and
    it is fetched again.
    """
    folder = _folder(settings, use_case, version)
    if not folder.exists():
        _fetch(settings, use_case, version, digest, folder)
    return load_model(folder, expected_digest=digest, threads=settings.training_threads)


def registered_model(
    settings: Settings, use_case: UseCase, registered: RegisteredVersion
) -> ScoringModel:
    """The model of a registered version, as `planned_model`."""
    return planned_model(settings, use_case, registered.version, registered.digest)


def read_by(use_case: UseCase, model: ScoringModel, version: int) -> UseCase:
    """The use case as the version reads it, whatever has been declared since it was trained.

    Raises `DataError` naming columns that it reads and that nobody delivers any more.
    """
    interface = VersionInterface.of(version, model.transform, model.metadata.request)
    undeclared = undeclared_sources(use_case, interface)
    if undeclared:
        raise DataError(
            f"Version {version} of {use_case.name} reads {undeclared}, which the table"
            f" {use_case.entity_table!r} does not declare any more: its scores would be those of"
            " missing values. Release a version that does not read them, or declare them again,"
            " with max_null_share=1.0 where they are not delivered (docs/changing-use-cases.md)."
        )
    return as_read_by(use_case, [interface])


def _folder(settings: Settings, use_case: UseCase, version: int) -> Path:
    return settings.home / "work" / "champions" / use_case.name / str(version)


def _fetch(settings: Settings, use_case: UseCase, version: int, digest: str, folder: Path) -> None:
    """Put a verified package there: a killed process leaves no half copy, and of two at once the
    first one's copy stays.
    """
    with suppress(FileExistsError), publishing(folder, replace=False) as aside:
        if package_problem(settings, use_case.name, version, digest) is None:
            stored = version_folder(settings, use_case.name, version)
            shutil.copytree(stored, aside, dirs_exist_ok=True)
            return
        package = download(registered_version(settings, use_case, version), aside / "fetched")
        for path in list(package.iterdir()):
            path.rename(aside / path.name)
        shutil.rmtree(aside / "fetched")
