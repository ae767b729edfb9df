"""Building a bundle: the commit's files, checked and compiled by themselves, signed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cli.platform.environment import process_environment
from include.bundles.archive import Bundle, packed, signed_bundle
from include.bundles.checkout import Checkout, project, read_checkout
from include.bundles.manifest import IMAGE, Manifest, ModelReference
from include.catalogue import load_use_case, names
from include.errors import BundleError, FlightdeckError
from include.model.metadata import ModelMetadata
from include.model.package import METADATA_FILE
from include.release.in_service import released_version
from include.settings import PROJECT_ROOT, Settings


def build(
    settings: Settings,
    *,
    images: Mapping[str, str],
    with_models: bool = False,
    allow_dirty: bool = False,
    root: Path = PROJECT_ROOT,
) -> Bundle:
    """The bundle of the checkout in `root`, signed with the settings' home's key.

    The same commit, images and models give the same bytes. Raises `BundleError` where the checkout
    is not as committed, a use case declares what cannot be, or a DAG cannot be imported.
    """
    checkout = read_checkout(root, allow_dirty=allow_dirty)
    with tempfile.TemporaryDirectory(prefix="flightdeck-bundle-") as folder:
        alone = Path(folder) / "code"
        _write(alone, checkout)
        _declared(alone, Path(folder) / "home")
        content = _compiled(alone, Path(folder) / "home")
    flightdeck, requires_python = project(checkout)
    files = {
        name: packed(content, executable=name in checkout.executable)
        for name, content in checkout.files.items()
    }
    manifest = Manifest(
        flightdeck=flightdeck,
        commit=checkout.commit,
        committed_at=checkout.committed_at,
        dirty=checkout.dirty,
        requires_python=requires_python,
        lock=files["requirements.txt"].sha256,
        specifications=content["specifications"],
        dags=content["dags"],
        images=dict(images),
        models=models_in_service(settings) if with_models else {},
        files=files,
    )
    return signed_bundle(settings, manifest, checkout.files)


def read_images(path: Path | None) -> dict[str, str]:
    """The images that a file names: JSON `{"step": "registry/name@sha256:..."}`.

    Raises `BundleError` for one that is named by anything but its digest, which may be another
    image tomorrow.
    """
    if path is None:
        return {}
    try:
        images = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BundleError(f"{path} cannot be read as JSON: {error}.") from error
    if not isinstance(images, dict):
        raise BundleError(f'{path} must be an object: {{"step": "registry/name@sha256:..."}}.')
    for name, image in images.items():
        if not isinstance(image, str) or not re.match(IMAGE, image):
            raise BundleError(
                f"{path}: the image {name!r} is {image!r}; name it by its digest, as"
                " registry/name@sha256:<64 characters>."
            )
    return images


def _write(folder: Path, checkout: Checkout) -> None:
    for name, content in checkout.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _declared(root: Path, home: Path) -> None:
    """Raise where `flightdeck declarations` of these files finds something wrong."""
    done = _run(root, home, "cli", "declarations")
    if done.returncode != 0:
        lines = (done.stdout or done.stderr).strip()
        raise BundleError(f"what the use cases declare cannot be:\n{lines}")


def _compiled(root: Path, home: Path) -> dict[str, Any]:
    file = home / "compiled.json"
    done = _run(root, home, "cli.bundles.compiled", str(file))
    if done.returncode != 0:
        raise BundleError(f"the DAGs cannot be compiled: {done.stderr.strip()}")
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return content


def _run(root: Path, home: Path, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a module of the files in `root`, which have nothing else of ours on their path."""
    overlay = {"FLIGHTDECK_ENV": "dev", "FLIGHTDECK_HOME": str(home), "PYTHONPATH": str(root)}
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=root,
        env=process_environment(overlay),
        capture_output=True,
        text=True,
        check=False,
    )


def models_in_service(settings: Settings) -> dict[str, ModelReference]:
    """The versions in service in this home, and what each was trained on.

    Raises `BundleError` where what serves, or its package, cannot be read.
    """
    models = {}
    for name in names():
        try:
            released = released_version(settings, load_use_case(name))
        except FlightdeckError as error:
            raise BundleError(f"what serves {name} cannot be read: {error}") from error
        if released is None:
            continue
        if released.stored is None:
            raise BundleError(
                f"version {released.version} of {name} serves, and its package is not in the model"
                f" store of {settings.home}; build without --models, or restore it."
            )
        content = (released.stored / METADATA_FILE).read_bytes()
        snapshot = ModelMetadata.model_validate_json(content).snapshot
        models[name] = ModelReference(
            version=released.version,
            digest=str(released.digest),
            data_set=snapshot.name,
            data_set_version=snapshot.version,
            data_set_digest=snapshot.digest,
        )
    return models
