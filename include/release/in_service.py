"""The version in service as the data checks meet it: its number and the window that it was trained
on.
"""

from __future__ import annotations

from datetime import timedelta

from include.errors import RegistryError, ServingError
from include.interval import Interval
from include.model.package import METADATA_FILE, ModelMetadata, verify_package
from include.quality.references import Champion
from include.release.model_store import desired
from include.settings import Settings
from include.spec import UseCase
from include.verdict import Finding, broken_rule


def champion_in_service(
    use_case: UseCase, settings: Settings
) -> tuple[Champion | None, list[Finding]]:
    """The champion as the model store holds it; `None` before the first release.

    A package that is missing or altered is a failure of the rule `reference`: its training window
    is not to be believed.
    """
    try:
        current = desired(settings, use_case.name)
        if current is None:
            return None, []
        verify_package(current.folder, current.digest)
        end = ModelMetadata.model_validate_json(
            (current.folder / METADATA_FILE).read_bytes()
        ).interval.end
    except (RegistryError, ServingError, OSError, ValueError) as error:
        return None, [
            broken_rule(
                use_case.name,
                "",
                "reference",
                "the champion's package, unaltered",
                f"{type(error).__name__}: {error}",
                None,
            )
        ]
    return Champion(
        current.version, Interval(end - timedelta(days=use_case.training.window_days), end)
    ), []
