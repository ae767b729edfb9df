"""The commands `bundle build`, `inspect`, `verify`, `push` and `list`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cli.bundles.build import build, read_images
from cli.bundles.named import DEPLOYED, BundleName, RegistryUri, find_bundle
from cli.platform.state import running_settings
from cli.records.answers import AsJson, print_answer
from cli.tables import print_facts, print_table
from include.bundles.archive import Bundle, read_bundle, trusted_keys
from include.bundles.deployments import Deployments
from include.bundles.difference import differences
from include.bundles.manifest import Manifest, short
from include.bundles.registry import BundleRegistry, registry_of
from include.errors import FlightdeckError
from include.files import write
from include.settings import Settings

BYTES_PER_MEGABYTE = 1e6


def build_bundle(
    *,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where to write it; below the home by default."),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="JSON with the digests of images, by name."),
    ] = None,
    models: Annotated[
        bool, typer.Option("--models", help="Name the versions that serve in this home.")
    ] = False,
    allow_dirty: Annotated[
        bool, typer.Option("--allow-dirty", help="Pack what lies there, and mark it so.")
    ] = False,
    push: Annotated[bool, typer.Option("--push", help="Push it to the registry too.")] = False,
    registry: RegistryUri = None,
) -> None:
    """Build the bundle of this checkout: one signed archive of all that runs.

    It holds DAGs, plugins, code, feature definitions, endpoint and lock, each file with its digest,
    what the DAGs compile to, and the stored components that they refer to. The same commit gives
    the same bytes. What is not committed, declares what cannot be or cannot be imported is refused.
    """
    settings = running_settings()
    kept = registry_of(registry or settings.bundle_registry) if push else None
    bundle = build(
        settings, images=read_images(images), with_models=models, allow_dirty=allow_dirty
    )
    path = output or settings.pipelines_dir / "built" / f"{short(bundle.version)}.tar"
    write(path, bundle.archive, durable=True)
    size = len(bundle.archive) / BYTES_PER_MEGABYTE
    print(f"{path}: version {short(bundle.version)}, {len(bundle.files)} files, {size:.1f} MB.")
    if bundle.manifest.dirty:
        print(f"Not as committed: {', '.join(bundle.manifest.dirty)}.")
    if kept is not None:
        _push(kept, bundle)


def inspect_bundle(
    name: BundleName,
    *,
    against: Annotated[
        str | None,
        typer.Option(metavar="BUNDLE", help="Say what differs; from what is deployed by default."),
    ] = None,
    registry: RegistryUri = None,
    as_json: AsJson = False,
) -> None:
    """Show what is in a bundle, and what differs from another one or from the deployed one.

    Signature and digests are checked first.
    """
    settings = running_settings()
    manifest = find_bundle(settings, name, registry).bundle.manifest
    if as_json:
        print_answer({"version": manifest.version, **manifest.as_json}, print, as_json=True)
        return
    print_facts(f"Bundle {manifest.version}", _facts(manifest))
    print_table(
        "Pipelines",
        ("DAG", "tasks", "steps"),
        [
            (dag_id, len(tasks), len({step for task in tasks.values() for step in task.steps}))
            for dag_id, tasks in sorted(manifest.dags.items())
        ],
    )
    if against is None and Deployments(settings).current() is None:
        return
    other = find_bundle(settings, against or DEPLOYED, registry).bundle.manifest
    print_table(
        f"Since {short(other.version)}",
        ("difference",),
        [(line,) for line in differences(other, manifest)],
        nothing="the same",
        prose=("difference",),
    )


def verify_bundle(name: BundleName, *, registry: RegistryUri = None) -> None:
    """Check a bundle's signature, and every byte against what was built."""
    settings = running_settings()
    bundle = find_bundle(settings, name, registry).bundle
    print(f"{short(bundle.version)}: signed, and all {len(bundle.files)} files are as built.")


def push_bundle(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A bundle that was built.")],
    *,
    registry: RegistryUri = None,
) -> None:
    """Keep a bundle in the registry, under the name of its version."""
    settings = running_settings()
    kept = registry_of(registry or settings.bundle_registry)
    _push(kept, find_bundle(settings, str(file.absolute())).bundle)


def list_bundles(*, registry: RegistryUri = None, as_json: AsJson = False) -> None:
    """List the bundles of the registry, the newest commit first, and who accepted them."""
    settings = running_settings()
    kept = registry_of(registry or settings.bundle_registry)
    rows = sorted(
        (_entry(settings, kept, version) for version in kept.versions()),
        key=lambda row: row["committed_at"],
        reverse=True,
    )
    if as_json:
        print_answer(rows, print, as_json=True)
        return
    print_table(
        f"Bundles in {kept.uri}",
        ("version", "commit", "committed", "accepted by", "state"),
        [
            (
                short(row["version"]),
                short(row["commit"]),
                row["committed_at"],
                ", ".join(row["accepted_by"]),
                row["state"],
            )
            for row in rows
        ],
        prose=("state",),
    )


def _push(kept: BundleRegistry, bundle: Bundle) -> None:
    is_new = kept.push(bundle.version, bundle.archive)
    print(f"{kept.uri}: {bundle.version} {'is there' if is_new else 'was there already'}.")


def _entry(settings: Settings, kept: BundleRegistry, version: str) -> dict[str, Any]:
    """What the list says of a bundle; of one that does not hold, why."""
    keys = trusted_keys(settings)
    row: dict[str, Any] = {
        "version": version,
        "commit": "",
        "committed_at": "",
        "accepted_by": [],
        "state": "",
    }
    try:
        manifest = read_bundle(kept.read(version), version, keys).manifest
        accepted = [item for item in kept.acceptances(version) if item.is_signed_by(keys)]
    except FlightdeckError as error:
        return {**row, "state": str(error)}
    return {
        **row,
        "commit": manifest.commit,
        "committed_at": manifest.committed_at,
        "accepted_by": [item.environment for item in accepted],
        "state": "not as committed" if manifest.dirty else "whole",
    }


def _facts(manifest: Manifest) -> dict[str, object]:
    return {
        "commit": manifest.commit,
        "committed": manifest.committed_at,
        "not as committed": ", ".join(manifest.dirty) or "nothing",
        "Flightdeck": manifest.flightdeck,
        "Python": manifest.requires_python,
        "lock": manifest.lock,
        "files": len(manifest.files),
        "specifications": ", ".join(
            f"{name} {short(digest)}" for name, digest in manifest.specifications.items()
        ),
        "images": ", ".join(f"{name} {image}" for name, image in manifest.images.items()),
        "models": ", ".join(
            f"{name} {model.version} ({short(model.digest)}, {model.data_set}"
            f"@{model.data_set_version})"
            for name, model in manifest.models.items()
        ),
    }
