"""A released version's package is at hand as long as any whole copy of it is: in the model store,
beside the endpoint, or in MLflow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from include.errors import FlightdeckError, RegistryError, ReleaseError
from include.model.package import verify_package
from include.model.signing import public_key, verify_signature
from include.registry import versions
from include.registry.client import unreachable
from include.release.copies import copy_of
from include.release.model_store import at_hand, publish, shared_problem, version_folder
from include.release.statement import check_statement
from include.settings import Settings
from include.spec import UseCase


def package_problem(settings: Settings, use_case: str, version: int, digest: str) -> str | None:
    """Why the version in the model store could not be loaded; `None` where it is whole."""
    try:
        folder = at_hand(settings, use_case, version, digest)
        if not folder.is_dir():
            return f"{folder} is missing"
        verify_package(folder, digest)
        verify_signature(folder, public_key(settings))
        check_statement(folder, public_key(settings), use_case, version, digest)
    except (FlightdeckError, OSError) as error:
        return str(error)
    return None


def stored_problem(settings: Settings, use_case: str, version: int, digest: str) -> str | None:
    """The same, and why another host could not bring it, where hosts share the model store."""
    problem = package_problem(settings, use_case, version, digest)
    return problem or shared_problem(settings, use_case, version, digest)


def restore_package(settings: Settings, use_case: str, version: int, digest: str) -> str | None:
    """Make the version's package whole in the model store; where it came from, `None` where it was
    whole.

    It is taken from the endpoint's own copies, which need nobody, or from MLflow. Raises
    `ReleaseError` with every reason where no whole copy is left.
    """
    problem = stored_problem(settings, use_case, version, digest)
    if problem is None:
        return None
    if package_problem(settings, use_case, version, digest) is None:
        publish(settings, use_case, version_folder(settings, use_case, version), version, digest)
        return "this host's copy"
    sources: dict[str, Callable[[Path], Path]] = {}
    copy = copy_of(settings, use_case, version, digest)
    if copy is not None:
        sources[f"the endpoint's copy {copy}"] = lambda _: copy
    sources |= {
        f"MLflow's version {version}": lambda folder: _fetched(settings, use_case, version, folder),
    }
    reasons = [problem]
    for name, fetch in sources.items():
        with TemporaryDirectory(prefix="flightdeck-restore-") as folder:
            try:
                publish(settings, use_case, fetch(Path(folder)), version, digest)
            except (FlightdeckError, OSError) as error:
                reasons.append(f"{name}: {error}")
            else:
                return name
    raise ReleaseError(
        f"No whole package of {use_case} version {version} is left: {' '.join(reasons)}"
    )


@contextmanager
def opened_package(
    settings: Settings, use_case: UseCase, version: int, digest: str | None = None
) -> Iterator[Path]:
    """The version's package, its signature checked: the model store's or the endpoint's copy, else
    MLflow's in a folder for the moment.

    Raises `RegistryError` where there is none, or one that is not what was signed.
    """
    stored = at_hand(settings, use_case.name, version, digest)
    copy = None if digest is None else copy_of(settings, use_case.name, version, digest)
    with TemporaryDirectory(prefix="flightdeck-package-") as folder:
        if stored.is_dir():
            package = stored
        elif copy is not None:
            package = copy
        else:
            package = _only_in_mlflow(settings, use_case.name, version, stored, Path(folder))
        verify_signature(package, public_key(settings))
        yield package


def _only_in_mlflow(
    settings: Settings, use_case: str, version: int, stored: Path, folder: Path
) -> Path:
    try:
        return _fetched(settings, use_case, version, folder)
    except FlightdeckError as error:
        raise RegistryError(
            f"The model store has no package of {use_case} version {version} ({stored}), and MLflow"
            f" gives none: {error}"
        ) from error


def _fetched(settings: Settings, use_case: str, version: int, folder: Path) -> Path:
    problem = unreachable(settings)
    if problem is not None:
        raise ReleaseError(problem)
    return versions.download(versions.version_named(settings, use_case, version), folder)
