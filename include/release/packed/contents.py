"""What a Bento carries beside the code, and how an endpoint started from it takes that over.

    packed/bento.json                  use case, version, its digest, the code's commit
    packed/keys/signing.pub.pem        the public key
    packed/serving/models/...          the package, with its signature and its statement
    packed/serving/<use_case>/plan.json   the signed plan by which this version answers everything

It needs neither registry nor model store: the endpoint's home gets these files before anything is
loaded, and whatever loads a version checks digest, signature and statement as it always does.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from include.errors import RegistryError, ServingError
from include.files import publishing, write
from include.model.package import verify_package
from include.model.signing import PUBLIC_KEY, public_key, verify_signature
from include.release.model_store import publish, set_desired, version_folder
from include.release.plan import plan_path, read_issued
from include.release.statement import check_statement
from include.settings import PROJECT_ROOT, Settings

FOLDER = "packed"
ABOUT = "bento.json"


class Packed(BaseModel):
    """The version that a Bento carries: `digest` is its package's, `commit` that of the code, with
    `-dirty` behind it where the checkout was not as committed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    use_case: str
    version: int
    digest: str
    commit: str


def pack(settings: Settings, packed: Packed, package: Path, root: Path) -> None:
    """Write `packed/` below `root` of a package; `settings` are those of a home whose keys sign.

    Raises `DigestMismatch` when the package is not the one with the digest, `SignatureError` when
    it is not signed with our key.
    """
    folder, name = root / FOLDER, packed.use_case
    staged = settings.with_own_stores(root / "staging")
    staged.home.mkdir(parents=True)
    # The plan and the statement are signed where the private key lies; it is copied nowhere.
    staged.keys_dir.symlink_to(settings.keys_dir.resolve(), target_is_directory=True)
    publish(staged, name, package, packed.version, packed.digest)
    set_desired(staged, name, packed.version, packed.digest)
    for path in (version_folder(staged, name, packed.version), plan_path(staged, name)):
        target = folder / path.relative_to(staged.home)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, target)
    (folder / "keys").mkdir()
    shutil.copyfile(public_key(settings), folder / "keys" / PUBLIC_KEY)
    (folder / ABOUT).write_text(packed.model_dump_json(indent=1))
    staged.keys_dir.unlink()
    shutil.rmtree(staged.home)


def read_packed(root: Path = PROJECT_ROOT) -> Packed | None:
    """What the code in `root` carries; None where it is a checkout or a Bento without a version.

    Raises `ServingError` for a file that says nothing.
    """
    path = root / FOLDER / ABOUT
    try:
        return Packed.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise ServingError(f"{path} does not say which version it carries: {error}") from error


def alone(settings: Settings, root: Path = PROJECT_ROOT) -> Settings:
    """The settings by which this code serves: as they are in a checkout; in a Bento that carries a
    version those without the model store that hosts share.
    """
    return settings if read_packed(root) is None else _of_this_host(settings)


def take_over(settings: Settings, root: Path = PROJECT_ROOT) -> None:
    """Put the version that this code carries into the endpoint's home; a checkout carries none.

    Raises `ServingError` where the home trusts another key or has a plan for another version: a
    Bento serves what it carries, so it wants a home of its own.
    """
    packed = read_packed(root)
    if packed is None:
        return
    settings = _of_this_host(settings)
    folder, key = root / FOLDER, public_key(settings)
    carried = (folder / "keys" / PUBLIC_KEY).read_bytes()
    if not key.exists():
        key.parent.mkdir(parents=True, exist_ok=True)
        write(key, carried, durable=True)
    elif key.read_bytes() != carried:
        raise _foreign(settings, packed, f"trusts another key ({key})")
    issued = read_issued(settings, packed.use_case)
    arms = [] if issued is None else [(arm.version, arm.digest) for arm in issued.plan.versions]
    if issued is not None and arms != [(packed.version, packed.digest)]:
        raise _foreign(settings, packed, f"has a plan for {_versions(arms)}")
    target = version_folder(settings, packed.use_case, packed.version)
    # Every worker of a service comes here: what is whole is left alone, for another may load it.
    if not _is_whole(settings, packed, target):
        with publishing(target, durable=True) as aside:
            source = folder / target.relative_to(settings.home)
            shutil.copytree(source, aside, dirs_exist_ok=True)
    plan = plan_path(settings, packed.use_case)
    plan.parent.mkdir(parents=True, exist_ok=True)
    if issued is None:
        write(plan, (folder / plan.relative_to(settings.home)).read_bytes(), durable=True)


def _of_this_host(settings: Settings) -> Settings:
    return settings.model_copy(update={"models_uri": None})


def _is_whole(settings: Settings, packed: Packed, folder: Path) -> bool:
    key = public_key(settings)
    try:
        verify_package(folder, packed.digest)
        verify_signature(folder, key)
        check_statement(folder, key, packed.use_case, packed.version, packed.digest)
    except (RegistryError, OSError):
        return False
    return True


def _versions(arms: list[tuple[int, str]]) -> str:
    return ", ".join(f"version {number}" for number, _ in arms) or "no version"


def _foreign(settings: Settings, packed: Packed, why: str) -> ServingError:
    return ServingError(
        f"This Bento carries {packed.use_case} version {packed.version} and serves nothing else,"
        f" and the home {settings.home} {why}. Give it a home of its own: FLIGHTDECK_HOME=<folder>."
    )
