"""What a bundle says of itself: its files with their digests, where they come from, and the stored
components that it refers to.

The digest of this list is the bundle's version: whoever has the version can tell whether the files
at hand are those that were built.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import rfc8785
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from include.errors import BundleError

FORMAT = 1
MANIFEST = "bundle.json"
SIGNATURE = "bundle.sig"
SHORT = 12
"""Characters of a version that people read."""
CONTENTS = (
    "LICENSE",
    "bentofile.yaml",
    "cli",
    "dags",
    "docs/serving.md",
    "feature_repo",
    "include",
    "plugins",
    "pyproject.toml",
    "requirements.in",
    "requirements.txt",
    "serving",
)
"""The files and folders of a checkout that run; tests, proofs and documents stay behind."""

SHA256 = r"^[0-9a-f]{64}$"
IMAGE = r"^[^\s@]+@sha256:[0-9a-f]{64}$"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PackedFile(_Record):
    """A file of the bundle: its size in bytes, the SHA-256 of its content, whether it may be
    executed.
    """

    size: int = Field(ge=0)
    sha256: str = Field(pattern=SHA256)
    executable: bool = False


class CompiledTask(_Record):
    """A task as the bundle's own code builds it: its operator, the steps that it may call (each
    runs alone as `python -m include.processes.run <step>`), and the tasks that it waits for.
    """

    operator: str
    steps: tuple[str, ...] = ()
    upstream: tuple[str, ...] = ()


class ModelReference(_Record):
    """A registered version by the digest of its package, and the training set that it was made
    from.
    """

    version: int
    digest: str = Field(pattern=SHA256)
    data_set: str
    data_set_version: int
    data_set_digest: str


class Manifest(_Record):
    """The contents of a bundle.

    `commit` and `committed_at` are git's; `dirty` names files that were not as in the commit.
    `lock` is the SHA-256 of requirements.txt, `specifications` has that of each use case, `dags`
    the tasks of every DAG by their names, `images` container images by digest, `models` the
    versions that were in service where the bundle was built.
    """

    format: Literal[1] = 1
    flightdeck: str
    commit: str
    committed_at: str
    dirty: tuple[str, ...] = ()
    requires_python: str
    lock: str = Field(pattern=SHA256)
    specifications: dict[str, str]
    dags: dict[str, dict[str, CompiledTask]]
    images: dict[str, str] = {}
    models: dict[str, ModelReference] = {}
    files: dict[str, PackedFile]

    @field_validator("files")
    @classmethod
    def _inside(cls, value: dict[str, PackedFile]) -> dict[str, PackedFile]:
        for name in value:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or str(path) != name:
                raise ValueError(f"{name!r} is no name of a file in a bundle")
        return value

    @property
    def as_json(self) -> dict[str, Any]:
        """What is digested and signed."""
        document: dict[str, Any] = self.model_dump(mode="json")
        return document

    @property
    def content(self) -> bytes:
        """The canonical form (RFC 8785), as it stands in the archive."""
        return rfc8785.dumps(self.as_json)

    @property
    def version(self) -> str:
        """The bundle's version: the SHA-256 of its canonical form."""
        return hashlib.sha256(self.content).hexdigest()


def parse_manifest(content: bytes, where: str) -> Manifest:
    """The list of contents. Raises `BundleError` for what is none."""
    try:
        document = json.loads(content)
        if isinstance(document, dict) and document.get("format") != FORMAT:
            raise BundleError(
                f"{where} has the format {document.get('format')!r}, and this version of Flightdeck"
                f" reads {FORMAT}. Use the version that built it."
            )
        manifest = Manifest.model_validate(document)
    except (ValueError, ValidationError) as error:
        raise BundleError(f"{where} is no list of a bundle's contents: {error}") from error
    if manifest.content != content:
        raise BundleError(f"{where} is damaged: it is not written as a bundle's list is.")
    return manifest


def unpacked_manifest(root: Path) -> Manifest | None:
    """The list beside the unpacked files in `root`; None of a checkout."""
    path = root / MANIFEST
    return parse_manifest(path.read_bytes(), str(path)) if path.is_file() else None


def short(version: str) -> str:
    """The part of a version that people read."""
    return version[:SHORT]
