"""Released versions without a model in them: signed packages, rows of the ledger, versions in
MLflow.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from include.model.package import package_digest
from include.model.signing import attach_signature, sign_package
from include.registry.client import connect
from include.release.ledger import Entry, Ledger
from include.release.model_store import publish
from include.settings import Settings

NAME = "parcels"


def write_package(settings: Settings, folder: Path, content: str) -> str:
    """A signed package of one file; its digest."""
    folder.mkdir(parents=True)
    (folder / "model.ubj").write_text(content)
    digest = package_digest(folder)
    (folder / "digest.json").write_text(json.dumps({"digest": digest, "files": {}}))
    attach_signature(folder, sign_package(settings, folder, digest))
    return digest


def published(settings: Settings, version: int) -> str:
    """Put a version into the model store; its digest."""
    folder = settings.home / "packages" / str(version)
    digest = write_package(settings, folder, f"trees of {version}")
    publish(settings, NAME, folder, version, digest)
    return digest


def promoted(settings: Settings, version: int, digest: str, **evidence: Any) -> Entry:
    """Write a promotion."""
    return Ledger(settings).append("promoted", NAME, version, digest, "somebody", "r", evidence)


def registered(settings: Settings, digest: str) -> int:
    """A version in MLflow whose tag says the digest."""
    client = connect(settings)
    if not client.search_registered_models():
        client.create_registered_model(NAME)
    source = (settings.home / "packages").as_uri()
    version = client.create_model_version(NAME, source=source, tags={"digest": digest})
    return int(version.version)
