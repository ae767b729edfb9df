"""How a bundle is named on the command line: a file, a version in the registry, or what runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from include.bundles.acceptance import Acceptance, parse_acceptance
from include.bundles.archive import Bundle, read_bundle, trusted_keys
from include.bundles.deployments import Deployments
from include.bundles.registry import ACCEPTED, BundleRegistry, registry_of
from include.bundles.unpacked import kept_bundle
from include.errors import BundleError
from include.files import write
from include.settings import Settings

DEPLOYED = "deployed"

BundleName = Annotated[
    str,
    typer.Argument(
        metavar="BUNDLE",
        help="A file, the first characters of a version in the registry, or `deployed`.",
    ),
]
RegistryUri = Annotated[
    str | None,
    typer.Option(
        "--registry",
        metavar="URI",
        help="A folder or object storage; FLIGHTDECK_BUNDLE_REGISTRY by default.",
    ),
]


@dataclass(frozen=True)
class NamedBundle:
    """A bundle that holds, where it came from, and where its acceptances are kept: the registry,
    or beside the file.
    """

    bundle: Bundle
    where: str
    registry: BundleRegistry | None = None
    file: Path | None = None

    def acceptances(self) -> list[Acceptance]:
        """What environments say of it, unchecked."""
        if self.registry is not None:
            return self.registry.acceptances(self.bundle.version)
        if self.file is None:
            return []
        beside = sorted(self.file.parent.glob(f"{self.file.stem}{ACCEPTED}*.json"))
        return [parse_acceptance(path.read_bytes(), str(path)) for path in beside]

    def accept(self, acceptance: Acceptance) -> None:
        """Keep what this environment says of it, for the next one."""
        if self.registry is not None:
            self.registry.accept(acceptance)
        elif self.file is not None:
            name = f"{self.file.stem}{ACCEPTED}{acceptance.environment}.json"
            write(self.file.with_name(name), acceptance.model_dump_json(indent=1), durable=True)


def find_bundle(settings: Settings, name: str, registry: str | None = None) -> NamedBundle:
    """Read and check the bundle of that name.

    Raises `BundleError` where there is none or it is damaged, `SignatureError` where it is not
    signed by a key that is trusted in this home.
    """
    if name == DEPLOYED:
        return _deployed(settings)
    path, keys = Path(name).expanduser(), trusted_keys(settings)
    if path.is_file():
        return NamedBundle(read_bundle(path.read_bytes(), name, keys), name, file=path)
    if path.suffix or path.parent != Path():
        raise BundleError(f"There is no file {name}.")
    kept = registry_of(registry or settings.bundle_registry)
    version = kept.find(name)
    where = f"{kept.uri}/{version}"
    bundle = read_bundle(kept.read(version), where, keys)
    if bundle.version != version:
        raise BundleError(
            f"{where} is the bundle {bundle.version}, and not what its name says. Remove it, and"
            " push again."
        )
    return NamedBundle(bundle, where, registry=kept)


def _deployed(settings: Settings) -> NamedBundle:
    version = Deployments(settings).current()
    if version is None:
        raise BundleError(
            f"No bundle is deployed in {settings.home}: its platform runs the checkout. `flightdeck"
            " bundle deploy` changes that."
        )
    return NamedBundle(kept_bundle(settings, version), f"what is deployed in {settings.home}")
