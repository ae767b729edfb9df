"""The files of a checkout that a bundle is built of: those of the commit, or as they lie there."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

from include.bundles.manifest import CONTENTS
from include.errors import BundleError
from include.settings import PROJECT_ROOT

MOST_NAMES = 20
LINK = "120000"


@dataclass(frozen=True)
class Checkout:
    """What is packed: each file's content and whether it may be executed, the commit, when it was
    made, and the names of files that are not as committed.
    """

    files: dict[str, bytes]
    executable: frozenset[str]
    commit: str
    committed_at: str
    dirty: tuple[str, ...]


def read_checkout(root: Path = PROJECT_ROOT, *, allow_dirty: bool = False) -> Checkout:
    """Read what a bundle of the checkout in `root` holds.

    Where all is as committed, the content comes from the commit and not from the disk. Raises
    `BundleError` where something is not, unless `allow_dirty`, and outside of a git checkout.
    """
    commit = _git(root, "rev-parse", "HEAD").decode().strip()
    committed_at = _git(root, "log", "-1", "--format=%cI").decode().strip()
    dirty = _dirty(root)
    if dirty and not allow_dirty:
        more = f" and {len(dirty) - MOST_NAMES} more" if len(dirty) > MOST_NAMES else ""
        raise BundleError(
            f"{root} is not as committed: {', '.join(dirty[:MOST_NAMES])}{more}. Commit or remove"
            " them, so that the bundle can be built again from its commit; `--allow-dirty` builds"
            " one that is marked as such."
        )
    modes = _on_disk(root) if dirty else _committed(root)
    links = [name for name, mode in modes.items() if mode == LINK]
    if links:
        raise BundleError(
            f"{links[0]} is a link: a bundle holds files, which say themselves what they are."
        )
    files = {name: (root / name).read_bytes() for name in modes} if dirty else _archived(root)
    executable = frozenset(name for name, mode in modes.items() if mode.endswith("755"))
    return Checkout(files, executable, commit, committed_at, dirty)


def project(checkout: Checkout) -> tuple[str, str]:
    """Flightdeck's version and the versions of Python that it runs on, of pyproject.toml."""
    about = tomllib.loads(checkout.files["pyproject.toml"].decode())["project"]
    return str(about["version"]), str(about["requires-python"])


def _dirty(root: Path) -> tuple[str, ...]:
    """Changed, added and removed files, those that git does not know too, sorted."""
    listed = _git(root, "status", "--porcelain", "-z", "--untracked-files=all", "--no-renames")
    return tuple(sorted(entry[3:] for entry in listed.decode().split("\0") if entry))


def _committed(root: Path) -> dict[str, str]:
    """Git's mode of each file of the commit that is packed."""
    modes = {}
    for entry in _git(root, "ls-tree", "-r", "-z", "HEAD", "--", *CONTENTS).decode().split("\0"):
        if entry:
            about, _, name = entry.partition("\t")
            modes[name] = about.split()[0]
    return modes


def _on_disk(root: Path) -> dict[str, str]:
    """The same of the files that lie there and are not ignored."""
    options = ("-z", "--cached", "--others", "--exclude-standard")
    listed = _git(root, "ls-files", *options, "--", *CONTENTS).decode().split("\0")
    modes = {}
    for name in {entry for entry in listed if entry}:
        path = root / name
        if path.is_symlink():
            modes[name] = LINK
        elif path.is_file():
            modes[name] = "100755" if os.access(path, os.X_OK) else "100644"
    return modes


def _archived(root: Path) -> dict[str, bytes]:
    """The content of the commit's files; one call of git, which takes a while to start."""
    paths = [name for name in CONTENTS if _git(root, "ls-tree", "HEAD", "--", name)]
    content = _git(root, "archive", "--format=tar", "HEAD", "--", *paths)
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
        return {
            entry.name: source.read()
            for entry in archive
            if entry.isreg() and (source := archive.extractfile(entry)) is not None
        }


def _git(root: Path, *arguments: str) -> bytes:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments],  # noqa: S607  # git is wherever the machine has it
            capture_output=True,
            check=False,
        )
    except OSError as error:
        raise BundleError(
            f"git cannot be run: {error}. A bundle is built from a commit."
        ) from error
    if done.returncode != 0:
        raise BundleError(
            f"{root} is no git checkout with a commit ({done.stderr.decode().strip()}): a bundle is"
            " built from one."
        )
    return done.stdout
