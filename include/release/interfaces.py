"""Whether a version can still be asked what it was trained for, after its specification has moved
on.

A request field that was removed stays in the endpoint's contract for as long as a version in force
reads it (`include.features.version_interface`). What nobody can bring back is refused by name: a
feature that feature_repo does not define any more, another event time, another problem.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from include.errors import FeatureStoreError, FlightdeckError, SpecError
from include.features.definitions import known_views
from include.features.store import check_input_types
from include.features.transform import FeatureTransform
from include.features.version_interface import VersionInterface, as_read_by
from include.model.metadata import ModelMetadata
from include.model.package import METADATA_FILE, TRANSFORM_FILE
from include.release.model_store import at_hand
from include.settings import Settings
from include.spec import UseCase


def read_interface(folder: Path, version: int = 0) -> VersionInterface:
    """The interface of the package in a folder, whose digest somebody else has checked.

    Raises `OSError` where a file is missing, `ValidationError` where one is no record of ours.
    """
    transform = FeatureTransform.model_validate_json((folder / TRANSFORM_FILE).read_bytes())
    metadata = ModelMetadata.model_validate_json((folder / METADATA_FILE).read_bytes())
    return VersionInterface.of(version, transform, metadata.request)


def read_by_versions(settings: Settings, use_case: UseCase, versions: Iterable[int]) -> UseCase:
    """The use case as released versions read it; one whose package is not in the model store counts
    as one that reads what is declared.
    """
    interfaces = []
    for version in dict.fromkeys(versions):
        try:
            interfaces.append(read_interface(at_hand(settings, use_case.name, version), version))
        except (FlightdeckError, OSError, ValidationError):
            continue
    return as_read_by(use_case, interfaces)


def interface_differences(
    folder: Path, use_case: UseCase, settings: Settings | None = None
) -> dict[str, Any]:
    """What keeps a package from being asked by today's specification, by what it is about; empty
    where it can be.

    With `settings` the features that the specification does not read are looked for in Feast's
    registry. Raises what `read_interface` does.
    """
    metadata = ModelMetadata.model_validate_json((folder / METADATA_FILE).read_bytes())
    interface = read_interface(folder)
    pairs = {
        "use_case": (metadata.use_case, use_case.name),
        "event_time": (interface.event_time, use_case.event_time),
        "problem": (metadata.problem, use_case.problem.kind),
    }
    differences: dict[str, Any] = {
        name: {"package": package, "use case": declared}
        for name, (package, declared) in pairs.items()
        if package != declared
    }
    problem = _unreadable(use_case, interface, settings)
    return {**differences, "features": problem} if problem else differences


def interface_problem(settings: Settings, use_case: UseCase, folder: Path) -> str | None:
    """The same as one sentence; None where the version can be asked, or its package says nothing of
    it.
    """
    try:
        differences = interface_differences(folder, use_case, settings)
    except (OSError, ValidationError):
        return None
    if not differences:
        return None
    return "; ".join(
        f"its {name} is {part['package']!r}, the specification's {part['use case']!r}"
        if isinstance(part, dict)
        else str(part)
        for name, part in differences.items()
    )


def _unreadable(
    use_case: UseCase, interface: VersionInterface, settings: Settings | None
) -> str | None:
    """Why features that the version reads and the specification does not cannot be looked up."""
    question = as_read_by(use_case, [interface])
    if settings is None or question.inputs == use_case.inputs:
        return None
    try:
        check_input_types(question, known_views(question, settings))
    except (FeatureStoreError, SpecError) as error:
        return str(error)
    return None
