"""Where the files of a deployed bundle lie: `<home>/pipelines/versions/<version>/`, whole or not at
all, and beside them the archives that they came from, to unpack again.
"""

from __future__ import annotations

from pathlib import Path

from include.bundles.archive import Bundle, fits, read_bundle, trusted_keys
from include.bundles.manifest import MANIFEST, Manifest, short, unpacked_manifest
from include.errors import BundleError
from include.files import publishing, write
from include.settings import Settings

CACHE = "__pycache__"


def versions_dir(settings: Settings) -> Path:
    """Folder of the unpacked versions."""
    return settings.pipelines_dir / "versions"


def archive_path(settings: Settings, version: str) -> Path:
    """Where the archive of a version is kept."""
    return settings.pipelines_dir / "archives" / f"{version}.tar"


def unpack(settings: Settings, bundle: Bundle) -> Path:
    """Keep the archive, and unpack it unless its files lie there as they were built; their folder.

    Two that do so at once leave one version. It is there after a power cut too.
    """
    archive = archive_path(settings, bundle.version)
    if not archive.is_file() or archive.read_bytes() != bundle.archive:
        write(archive, bundle.archive, durable=True)
    root = versions_dir(settings) / bundle.version
    if root.exists() and difference(root, bundle.version) is None:
        return root
    try:
        # What is damaged there is replaced; what another process has just put there stays.
        with publishing(root, durable=True, replace=root.exists()) as aside:
            _write_files(aside, bundle)
    except FileExistsError:
        pass
    return root


def version_root(settings: Settings, version: str) -> Path:
    """The folder of a version's files, which are checked, and unpacked again where they are not as
    they were built.

    Raises `BundleError` where its archive is gone.
    """
    root = versions_dir(settings) / version
    if root.exists() and difference(root, version) is None:
        return root
    return unpack(settings, kept_bundle(settings, version))


def kept_bundle(settings: Settings, version: str) -> Bundle:
    """The bundle of a version that was deployed in this home.

    Raises `BundleError` where its archive is gone or is no longer what it was.
    """
    path = archive_path(settings, version)
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise BundleError(
            f"The archive of the pipeline's version {short(version)} is gone: {path}. Deploy it"
            " again from the registry."
        ) from error
    bundle = read_bundle(content, str(path), trusted_keys(settings))
    if bundle.version != version:
        raise BundleError(f"{path} is the bundle {short(bundle.version)}, and not {version}.")
    return bundle


def difference(root: Path, version: str) -> str | None:
    """What of the unpacked files is not as it was built, in a sentence; None if all is."""
    try:
        manifest = unpacked_manifest(root)
    except BundleError as error:
        return str(error)
    if manifest is None or manifest.version != version:
        return f"{root} is not the version {short(version)}."
    there = {
        path.relative_to(root).as_posix(): path
        for path in root.rglob("*")
        if not path.is_dir() and CACHE not in path.parts
    }
    del there[MANIFEST]
    for name in sorted({*there, *manifest.files}):
        if name not in there:
            return f"{root / name} is missing."
        if name not in manifest.files:
            return f"{there[name]} is not of the version {short(version)}."
        if not fits(there[name].read_bytes(), manifest.files[name]):
            return f"{there[name]} was changed."
    return None


def _write_files(folder: Path, bundle: Bundle) -> None:
    manifest: Manifest = bundle.manifest
    for name, content in {**bundle.files, MANIFEST: manifest.content}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        entry = manifest.files.get(name)
        path.chmod(0o555 if entry and entry.executable else 0o444)
