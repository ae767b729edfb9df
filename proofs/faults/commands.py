"""The group `flightdeck faults`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from cli.lazy import Command, LazyGroup, new_application

COMMANDS: dict[str, Command] = {
    "serving": Command(
        "proofs.faults.serving:faults_serving",
        "Kill processes, fill disks, spoil models and clients of the endpoint.",
        "Commands",
    ),
    "release": Command(
        "proofs.faults.release.command:faults_release",
        "Release bad versions, race and kill releases, damage stores, forge approvals.",
        "Commands",
    ),
    "containers": Command(
        "proofs.containers.main:faults_containers",
        "Build the images, run the platform in containers, kill some of them.",
        "Commands",
    ),
    "kubernetes": Command(
        "proofs.cluster.main:faults_kubernetes",
        "Ask the API server of a cluster about manifests, values, pods and rights.",
        "Commands",
    ),
}


class Faults(LazyGroup):
    """What faults are made on."""

    lazy_commands: ClassVar[Mapping[str, Command]] = COMMANDS


application = new_application(cls=Faults, no_args_is_help=True)


@application.callback()
def _faults() -> None:
    """Make faults on purpose and show what is borne."""
