"""MLflow's alias `champion` follows the ledger; a release does not wait for it."""

from __future__ import annotations

from include.errors import RegistryError
from include.registry import versions
from include.registry.client import unreachable
from include.settings import Settings
from include.spec import UseCase


def follow_with_alias(settings: Settings, use_case: UseCase, number: int) -> str | None:
    """Point the alias `champion` at the version that serves; why it could not be, or None.

    MLflow may be away, and the version may have been deleted there: both are for the next
    reconciliation, and no reason to keep another version in service.
    """
    from mlflow.exceptions import MlflowException

    problem = unreachable(settings)
    if problem is not None:
        return problem
    try:
        versions.set_champion(settings, use_case, number)
    except (RegistryError, MlflowException) as error:
        return str(error)
    return None
