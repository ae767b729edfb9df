"""What stands for a use case is the plan that answers, whether its version is loaded or not, with
what is told of that version.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from include.errors import ServingError
from include.features.version_interface import VersionInterface
from include.model.metadata import ModelMetadata
from include.model.package import METADATA_FILE
from include.release.interfaces import read_interface
from include.release.plan import IssuedPlan, PlannedArm
from serving.models.traffic import Traffic


@dataclass(frozen=True, slots=True)
class Standing:
    """A plan of one version that can be loaded, and loaded again.

    `passed` says that the version was loaded here, or passed its probation beside the libraries
    installed now.
    """

    issued: IssuedPlan
    passed: bool
    metadata: ModelMetadata

    @property
    def arm(self) -> PlannedArm:
        """The version."""
        return self.issued.plan.arms[0]


def standing_of(traffic: Traffic | None) -> Standing | None:
    """What may stand by once its version is let go; None for a rollout, canary or shadow, all of
    whose versions stay loaded, and where nothing serves.
    """
    if traffic is None or not traffic.issued.plan.is_plain:
        return None
    return Standing(traffic.issued, True, traffic.champion.model.model.metadata)


def read_standing(
    issued: IssuedPlan, folder: Path, *, passed: bool
) -> tuple[Standing, VersionInterface]:
    """What stands by a package whose files somebody else has checked, and what its version reads;
    raises `OSError` or `ServingError` where the package holds no record of ours.
    """
    try:
        metadata = ModelMetadata.model_validate_json((folder / METADATA_FILE).read_bytes())
        interface = read_interface(folder, issued.plan.arms[0].version)
    except ValidationError as error:
        raise ServingError(f"The package at {folder} holds no record of ours: {error}") from error
    return Standing(issued, passed, metadata), interface
