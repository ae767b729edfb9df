"""Packages that are signed and still must not serve."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

from include.model.package import DIGEST_FILE, MODEL_FILE, package_digest
from include.model.signing import attach_signature, sign_package
from include.settings import Settings


def wild_parent(content: bytes) -> bytes:
    """The second node of the first tree gets a parent far outside of it:

    XGBoost reads there and dies (SIGSEGV).
    """
    start = content.index(b"#L", content.index(b"parents")) + 2 + 8
    return content[: start + 4] + (2**30).to_bytes(4, "big") + content[start + 8 :]


def crashing_package(settings: Settings, package: Path, folder: Path) -> str:
    """A copy of a package in `folder` that ends the process which parses it, with digest and
    signature that hold; its digest.
    """
    shutil.copytree(package, folder)
    model = folder / MODEL_FILE
    model.write_bytes(wild_parent(model.read_bytes()))
    record = json.loads((folder / DIGEST_FILE).read_bytes())
    record["files"][MODEL_FILE] = hashlib.sha256(model.read_bytes()).hexdigest()
    record["digest"] = package_digest(folder)
    (folder / DIGEST_FILE).write_text(json.dumps(record))
    attach_signature(folder, None)
    attach_signature(folder, sign_package(settings, folder, record["digest"]))
    return str(record["digest"])
