"""The command `images`: the images of this checkout with their bills of materials, and pushed to a
registry where one is named.
"""

from __future__ import annotations

import json
import os
import subprocess
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from include.errors import PlatformError
from include.files import write
from include.settings import PROJECT_ROOT, load_settings
from include.spec.base import suggestion
from include.training.provenance import code_commit

IMAGES = ("mlflow", "serving", "step", "airflow")
PREFIX = "flightdeck"
LISTING, DIGESTS = "images.json", "digests.json"
"""The second is what `flightdeck bundle build --images` reads: references by digest."""
BASE_ARGUMENT = "PYTHON_IMAGE"


@dataclass(frozen=True)
class Image:
    """One built image.

    `reference` is by digest where it was pushed, else by tag on this machine; `bytes` is its size
    on a disk that has none of its layers.
    """

    name: str
    reference: str
    id: str
    bytes: int
    revision: str
    bill_of_materials: str


def images(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help=f"Of {', '.join(IMAGES)}; all by default."),
    ] = None,
    push: Annotated[
        str | None,
        typer.Option(
            metavar="REGISTRY", help="Push them there, for example registry.example.com/flightdeck."
        ),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(metavar="IMAGE", help="Another base; default: that of docker/Dockerfile."),
    ] = None,
    docker: Annotated[
        str, typer.Option(metavar="PROGRAM", help="Docker's client, with BuildKit.")
    ] = "docker",
) -> None:
    """Build the images of this checkout.

    Each is tagged with the version and the commit. var/images/ then has images.json, with every
    reference, size and commit, after --push digests.json with each by its digest, and
    <image>.cdx.json, a bill of materials as CycloneDX.
    """
    chosen = tuple(names or IMAGES)
    for name in chosen:
        if name not in IMAGES:
            raise typer.BadParameter(
                f"there is no image {name!r}{suggestion(name, IMAGES)}", param_hint="NAME"
            )
    folder = load_settings().home / "images"
    builder = Builder(docker, folder, base)
    built = [builder.build(name, push) for name in chosen]
    write(folder / LISTING, json.dumps([asdict(image) for image in built], indent=1) + "\n")
    if push is not None:
        digests = {image.name: image.reference for image in built}
        write(folder / DIGESTS, json.dumps(digests, indent=1) + "\n")
    for image in built:
        print(f"{image.name:<8} {image.bytes / 1e6:6.0f} MB  {image.reference}")
    print(f"Listed in {folder / LISTING}, with a bill of materials each beside it.")


def version() -> str:
    """The version of this checkout."""
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return str(project["project"]["version"])


def created(root: Path = PROJECT_ROOT) -> str:
    """When the checked-out commit was made: the same code gives the same label whenever it is
    built.
    """
    command = ["git", "-C", str(root), "show", "--no-patch", "--format=%ct", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = int(done.stdout) if done.returncode == 0 else 0
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Builder:
    """Docker's client over this checkout."""

    def __init__(
        self,
        docker: str,
        folder: Path,
        base: str | None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._docker = docker
        self._environment = {**(environment or os.environ), "DOCKER_BUILDKIT": "1"}
        self._folder = folder
        self._revision = code_commit()
        arguments = {"REVISION": self._revision, "VERSION": version(), "CREATED": created()}
        if base is not None:
            arguments[BASE_ARGUMENT] = base
        self._arguments = [
            part for name, value in arguments.items() for part in ("--build-arg", f"{name}={value}")
        ]

    def build(self, name: str, registry: str | None) -> Image:
        """Build one image and list what is in it.

        Raises `PlatformError` with the last lines of Docker's own output.
        """
        tag = f"{PREFIX}/{name}:{version()}"
        commit = f"{PREFIX}/{name}:{self._revision[:12]}"
        self._run("build", *self._target(name), "--tag", tag, "--tag", commit, ".")
        self._folder.mkdir(parents=True, exist_ok=True)
        output = f"type=local,dest={self._folder}"
        self._run("build", *self._target(f"{name}-sbom"), "--output", output, ".")
        reference = tag if registry is None else self._push(name, tag, registry)
        about = json.loads(self._run("image", "inspect", tag))[0]
        return Image(
            name=name,
            reference=reference,
            id=about["Id"],
            bytes=about["Size"],
            revision=self._revision,
            bill_of_materials=f"{name}.cdx.json",
        )

    def _target(self, target: str) -> list[str]:
        return ["--file", "docker/Dockerfile", *self._arguments, "--target", target]

    def _push(self, name: str, tag: str, registry: str) -> str:
        remote = f"{registry.rstrip('/')}/{name}:{self._revision[:12]}"
        self._run("tag", tag, remote)
        self._run("push", remote)
        repository = remote.rpartition(":")[0]
        digests = json.loads(self._run("image", "inspect", remote))[0]["RepoDigests"]
        return next(str(one) for one in digests if one.startswith(f"{repository}@"))

    def _run(self, *arguments: str) -> str:
        try:
            done = subprocess.run(
                [self._docker, *arguments],
                cwd=PROJECT_ROOT,
                env=self._environment,
                capture_output=True,
                text=True,
                check=False,
            )
        except OSError as error:
            raise PlatformError(
                f"{self._docker} cannot be run ({error.strerror}); install Docker's client, or"
                " name it with --docker."
            ) from error
        if done.returncode != 0:
            last = "\n".join((done.stderr or done.stdout).strip().splitlines()[-12:])
            raise PlatformError(f"docker {arguments[0]} failed:\n{last}")
        return done.stdout
