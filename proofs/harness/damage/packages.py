"""Damage to model packages: to the model's bytes, and what is signed over them anew."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

from include.model.package import DIGEST_FILE, MODEL_FILE, package_digest
from include.model.signing import attach_signature, sign_package
from include.release.statement import state_version
from include.settings import Settings

Change = Callable[[bytes], bytes]


def halved(content: bytes) -> bytes:
    """The first half."""
    return content[: len(content) // 2]


def flipped(content: bytes) -> bytes:
    """One bit in the middle is another."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def wild_parent(content: bytes) -> bytes:
    """The second node of the first tree gets a parent far outside of it:

    XGBoost reads there and dies (SIGSEGV).
    """
    start = content.index(b"#L", content.index(b"parents")) + 2 + 8
    return content[: start + 4] + (2**30).to_bytes(4, "big") + content[start + 8 :]


def change_model(package: Path, change: Change) -> None:
    """Replace the model's bytes and nothing else: digest.json does not fit any more."""
    model = package / MODEL_FILE
    model.write_bytes(change(model.read_bytes()))


def digest_anew(package: Path) -> str:
    """Write digest.json anew, so that it fits the files, and return the digest. A signature is left
    as it is.
    """
    record = json.loads((package / DIGEST_FILE).read_bytes())
    record["files"][MODEL_FILE] = hashlib.sha256((package / MODEL_FILE).read_bytes()).hexdigest()
    record["digest"] = package_digest(package)
    (package / DIGEST_FILE).write_text(json.dumps(record))
    return str(record["digest"])


def sign_anew(settings: Settings, package: Path) -> str:
    """Digest, signature and statement that fit the files and the folder of a model store; the
    digest.
    """
    digest = digest_anew(package)
    attach_signature(package, None)
    attach_signature(package, sign_package(settings, package, digest))
    state_version(settings, package, package.parent.name, int(package.name), digest)
    return digest


def crashing_package(settings: Settings, package: Path, folder: Path) -> str:
    """A copy of a package in `folder` that ends the process which parses it, with digest and
    signature that hold; its digest.
    """
    shutil.copytree(package, folder)
    change_model(folder, wild_parent)
    return sign_anew(settings, folder)
