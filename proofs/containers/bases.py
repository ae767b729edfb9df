"""The images of others: the public ones where a registry is reached, else stand-ins that are made
here of Debian's packages.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from include.errors import PlatformError
from include.settings import PROJECT_ROOT
from proofs.containers.engine import Engine

STANDINS = PROJECT_ROOT / "proofs" / "containers" / "standins"
PREFIX = "flightdeck-standin"
VARIABLES = {
    "postgres": "POSTGRES_IMAGE",
    "valkey": "VALKEY_IMAGE",
    "haproxy": "HAPROXY_IMAGE",
    "seaweedfs": "SEAWEEDFS_IMAGE",
}
PUBLIC_REGISTRY = "docker.io/library/registry:3"
SUITE, MIRROR = "trixie", "http://deb.debian.org/debian"
PACKAGES = "ca-certificates,python3,python3-venv"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
PULL_SECONDS = 120.0


def public_base() -> str:
    """The base that docker/Dockerfile names."""
    text = (PROJECT_ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
    (name,) = re.findall(r"^ARG PYTHON_IMAGE=(\S+)$", text, re.MULTILINE)
    return str(name)


def can_pull(engine: Engine) -> bool:
    """Whether a registry of images is reached."""
    pulled = engine.run("pull", "--quiet", public_base(), check=False, seconds=PULL_SECONDS)
    return pulled.returncode == 0


def stand_in_base(engine: Engine, folder: Path) -> str:
    """A base as the public one, with this machine's certificates; its name."""
    name = f"{PREFIX}/python:3.13"
    if engine.run("image", "inspect", name, check=False).returncode == 0:
        return name
    if shutil.which("mmdebstrap") is None:
        raise PlatformError("No image can be pulled, and mmdebstrap is not there to make a base.")
    archive = folder / "base.tar"
    engine.program(
        ["mmdebstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(archive), MIRROR]
    )
    engine.run("import", str(archive), f"{PREFIX}/bare:{SUITE}")
    archive.unlink()
    with tempfile.TemporaryDirectory(dir=folder) as context:
        shutil.copyfile(CERTIFICATES, Path(context) / CERTIFICATES.name)
        (Path(context) / "pip.conf").write_text(f"[global]\ncert = {CERTIFICATES}\n")
        (Path(context) / "Dockerfile").write_text(
            f"FROM {PREFIX}/bare:{SUITE}\n"
            f"COPY {CERTIFICATES.name} {CERTIFICATES}\n"
            "COPY pip.conf /etc/pip.conf\n"
        )
        engine.run("build", "--tag", name, context)
    return name


def registry_image(engine: Engine, base: str | None) -> str:
    """A registry of images to push to."""
    if base is None:
        return PUBLIC_REGISTRY
    return _stand_in(engine, base, "registry")


def _stand_in(engine: Engine, base: str, target: str) -> str:
    name = f"{PREFIX}/{target}"
    engine.run(
        *("build", "--file", str(STANDINS / "Dockerfile"), "--target", target),
        *("--build-arg", f"BASE_IMAGE={base}", "--tag", name, str(STANDINS)),
    )
    return name


def stand_ins(engine: Engine, base: str) -> dict[str, str]:
    """An image for each variable of docker/compose.yaml, built on `base`."""
    return {variable: _stand_in(engine, base, name) for name, variable in VARIABLES.items()}
