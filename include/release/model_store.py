"""The packages that an endpoint may load: plain folders, no registry needed.

    <serving_dir>/models/<use_case>/<version>/   a verified copy of the model package, and as
                                                 release.json the signed word which version it is

Where hosts share the model store (`include.release.shared.objects`), that folder holds what this
host has brought of it.

Which of them serve is the plan's matter (`include.release.plan`); `set_desired` and `withdraw` are
the short way to a plan of one version or of none, by hand.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from include.errors import FlightdeckError, RegistryError, ServingError
from include.files import publishing
from include.model.package import RELEASE_FILE, package_digest, verify_package
from include.model.signing import public_key, verify_signature
from include.release.copies import copy_of
from include.release.plan import PlannedArm, read_plan, write_plan_by_hand
from include.release.shared.archive import packed, unpack
from include.release.shared.objects import objects_of, package_name, reaching
from include.release.statement import check_statement, state_version
from include.settings import Settings


@dataclass(frozen=True)
class Desired:
    """A version that should serve. `folder` is absolute."""

    version: int
    digest: str
    folder: Path


def version_folder(settings: Settings, use_case: str, version: int) -> Path:
    """Where `publish` puts a version."""
    return settings.serving_dir / "models" / use_case / str(version)


def publish(
    settings: Settings, use_case: str, package_folder: Path, version: int, digest: str
) -> Path:
    """Copy a package into the store, verified before and after, and return its folder; it does not
    serve yet.

    The folder appears complete or not at all. The same package again is a no-op, a damaged copy is
    replaced, one from before the statements gets its own. Raises `DigestMismatch` when the package
    is not the one with `digest`, `SignatureError` when it is not signed with our key.
    """
    key = public_key(settings)
    _verify(package_folder, digest, key)
    folder = version_folder(settings, use_case, version)
    if not (folder.is_dir() and _is_intact(folder, digest, key)):
        with publishing(folder, durable=True) as aside:
            shutil.copytree(package_folder, aside, dirs_exist_ok=True)
            (aside / RELEASE_FILE).unlink(missing_ok=True)
            state_version(settings, aside, use_case, version, digest)
            _verify(aside, digest, key)
    elif not _is_stated(folder, key, use_case, version, digest):
        state_version(settings, folder, use_case, version, digest)
    _share(settings, use_case, version, digest)
    return folder


def at_hand(settings: Settings, use_case: str, version: int, digest: str | None = None) -> Path:
    """The folder of a version, brought from the shared store where this host has no intact one;
    where there is none either, it is missing.

    Raises `ServingError` where the shared store cannot be read, `DigestMismatch` or
    `SignatureError` for a package that is not the one which was published under this number.
    """
    folder, objects = version_folder(settings, use_case, version), objects_of(settings)
    key = public_key(settings)
    if objects is None or (folder.is_dir() and (digest is None or _is_intact(folder, digest, key))):
        return folder
    with reaching():
        stored = objects.read(package_name(use_case, version))
    if stored is not None:
        with publishing(folder, durable=True) as aside:
            _open(settings, stored.content, aside, use_case, version, digest)
    return folder


def shared_problem(settings: Settings, use_case: str, version: int, digest: str) -> str | None:
    """Why another host could not bring the version; None where it could, or none is asked to."""
    objects = objects_of(settings)
    if objects is None:
        return None
    name = package_name(use_case, version)
    try:
        with reaching(), TemporaryDirectory(prefix="flightdeck-shared-") as folder:
            stored = objects.read(name)
            if stored is None:
                return f"{objects.place}/{name} is missing"
            _open(settings, stored.content, Path(folder), use_case, version, digest)
    except (FlightdeckError, OSError) as error:
        return str(error)
    return None


def _share(settings: Settings, use_case: str, version: int, digest: str) -> None:
    """Put a version into the shared store, unless an intact one is there; of two writers either
    one's is.
    """
    objects = objects_of(settings)
    if objects is None:
        return
    name = package_name(use_case, version)
    content = packed(version_folder(settings, use_case, version))
    with reaching():
        if objects.create(name, content):
            return
        if shared_problem(settings, use_case, version, digest) is not None:
            objects.write(name, content)


def _open(
    settings: Settings,
    archive: bytes,
    folder: Path,
    use_case: str,
    version: int,
    digest: str | None,
) -> None:
    """Unpack and check a package from the shared store."""
    key = public_key(settings)
    unpack(archive, folder, f"{settings.models_uri}/{package_name(use_case, version)}")
    expected = package_digest(folder) if digest is None else digest
    _verify(folder, expected, key)
    check_statement(folder, key, use_case, version, expected)


def set_desired(settings: Settings, use_case: str, version: int, digest: str) -> Desired:
    """Have one published version answer everything, by hand; raises `ServingError` when it is
    neither published nor among the endpoint's copies.
    """
    folder = at_hand(settings, use_case, version, digest)
    if not folder.is_dir():
        copy = copy_of(settings, use_case, version, digest)
        if copy is None:
            raise ServingError(
                f"{use_case} version {version} is not in the model store ({folder}); publish it"
                " first."
            )
        publish(settings, use_case, copy, version, digest)
    champion = PlannedArm(role="champion", version=version, digest=digest, share=1.0)
    write_plan_by_hand(settings, use_case, (champion,))
    return Desired(version, digest, folder)


def withdraw(settings: Settings, use_case: str) -> None:
    """Have no version of this use case serve, by hand."""
    write_plan_by_hand(settings, use_case, ())


def desired(settings: Settings, use_case: str) -> Desired | None:
    """The plan's champion; `None` when there was no plan yet, or one without arms. Raises what
    `read_plan` and `at_hand` do.
    """
    plan = read_plan(settings, use_case)
    champion = None if plan is None else plan.champion
    if champion is None:
        return None
    folder = at_hand(settings, use_case, champion.version, champion.digest)
    return Desired(champion.version, champion.digest, folder)


def _verify(folder: Path, digest: str, key: Path) -> None:
    verify_package(folder, digest)
    verify_signature(folder, key)


def _is_intact(folder: Path, digest: str, key: Path) -> bool:
    try:
        _verify(folder, digest, key)
    except (RegistryError, OSError):
        return False
    return True


def _is_stated(folder: Path, key: Path, use_case: str, version: int, digest: str) -> bool:
    try:
        check_statement(folder, key, use_case, version, digest)
    except (RegistryError, OSError):
        return False
    return True
