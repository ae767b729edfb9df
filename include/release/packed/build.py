"""Builds a Bento of the commit's serving code and one registered version."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from include.bundles.checkout import Checkout
from include.errors import BundleError
from include.release.packed.contents import Packed, pack
from include.settings import Settings

SERVICE = "flightdeck"
CODE = (
    "bentofile.yaml",
    "docs/serving.md",
    "feature_repo/",
    "include/",
    "requirements.txt",
    "serving/",
)
"""What `bentofile.yaml` packs of a checkout."""
SHORT = 12
DIRTY = "-dirty"
LOG_CHARACTERS = 1500


def commit_of(checkout: Checkout) -> str:
    """The commit, marked where the files are not those of it."""
    return checkout.commit + (DIRTY if checkout.dirty else "")


def code_digest(checkout: Checkout) -> str:
    """SHA-256 over names and contents of the code that is packed."""
    digest = hashlib.sha256()
    for name, content in sorted(_code(checkout).items()):
        digest.update(f"{name}\n{hashlib.sha256(content).hexdigest()}\n".encode())
    return digest.hexdigest()


def bento_version(packed: Packed) -> str:
    """`flight_delays-3-1a2b3c4d5e6f`: the version and the commit, which together are what it is."""
    dirty = DIRTY if packed.commit.endswith(DIRTY) else ""
    return f"{packed.use_case}-{packed.version}-{packed.commit[:SHORT]}{dirty}"


def labels_of(packed: Packed, checkout: Checkout) -> dict[str, str]:
    """What the Bento says of itself: both parts, each with its digest."""
    return {
        "use_case": packed.use_case,
        "model_version": str(packed.version),
        "model_digest": packed.digest,
        "git_commit": packed.commit,
        "code_digest": code_digest(checkout),
    }


def build_bento(
    settings: Settings, packed: Packed, package: Path, checkout: Checkout, home: Path, work: Path
) -> str:
    """Build into BentoML's home `home` and return the tag; `work` is an empty folder.

    Raises `DigestMismatch` or `SignatureError` for a package that is not what was registered,
    `BundleError` with the end of BentoML's output where it fails.
    """
    context = work / "context"
    for name, content in _code(checkout).items():
        path = context / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    pack(settings, packed, package, context)
    labels = [f"--label={name}={value}" for name, value in labels_of(packed, checkout).items()]
    command = [sys.executable, "-m", "bentoml", "build", "--version", bento_version(packed)]
    built = subprocess.run(
        [*command, *labels, "-o", "tag", str(context)],
        cwd=context,
        env=bento_environment(home),
        capture_output=True,
        text=True,
        check=False,
    )
    if built.returncode != 0:
        raise BundleError(
            f"BentoML does not build {bento_version(packed)}:"
            f" {(built.stdout + built.stderr)[-LOG_CHARACTERS:].strip()}"
        )
    return f"{SERVICE}:{bento_version(packed)}"


def bento_folder(home: Path, tag: str) -> Path:
    """Where BentoML's home holds a Bento."""
    return home / "bentos" / tag.replace(":", "/")


def bento_environment(home: Path) -> dict[str, str]:
    """The environment in which BentoML works on `home`, with no code but what it is pointed to."""
    return {
        **os.environ,
        "BENTOML_HOME": str(home),
        "BENTOML_DO_NOT_TRACK": "True",
        "PYTHONPATH": "",
    }


def _code(checkout: Checkout) -> dict[str, bytes]:
    return {
        name: content
        for name, content in checkout.files.items()
        if any(name == part or (part.endswith("/") and name.startswith(part)) for part in CODE)
    }
