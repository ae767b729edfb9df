"""The version in service, as the release ledger says it: for the gates, for batch scoring, and for
the data checks.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from include.errors import RegistryError, ServingError
from include.interval import Interval
from include.model.package import METADATA_FILE, ModelMetadata, verify_package
from include.model.signing import public_key
from include.quality.references import Champion
from include.registry import versions
from include.registry.client import unreachable
from include.release.ledger import Ledger
from include.release.model_store import desired, version_folder
from include.release.packages import package_problem
from include.release.retirement import is_retired
from include.settings import Settings
from include.spec import UseCase
from include.verdict import Finding, broken_rule


def released_version(settings: Settings, use_case: UseCase) -> versions.RegisteredVersion | None:
    """The champion of the release ledger, with the package of the model store; of a home without a
    release that of MLflow's alias, which whoever may register can move. None where it was retired.

    MLflow being away, or the version deleted there, changes nothing but what is known of it.
    """
    traffic = Ledger(settings).in_service(use_case.name)
    arm = None if traffic is None else traffic.champion
    if arm is None and is_retired(settings, use_case.name):
        return None
    if arm is None:
        return versions.champion(settings, use_case)
    registered = None
    if unreachable(settings) is None:
        registered = versions.find_version(settings, use_case.name, arm.version)
    if registered is None:
        registered = versions.RegisteredVersion(
            arm.version, "", arm.digest, name=use_case.name, public_key=public_key(settings)
        )
    whole = package_problem(settings, use_case.name, arm.version, arm.digest) is None
    stored = version_folder(settings, use_case.name, arm.version) if whole else None
    return replace(registered, digest=arm.digest, stored=stored)


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
