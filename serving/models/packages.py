"""The packages of one use case's versions: which copy of one is intact, and how it is loaded."""

from __future__ import annotations

import logging

from include.errors import RegistryError
from include.model.signing import public_key
from include.release.copies import copy_of
from include.release.model_store import Desired, version_folder
from include.release.plan import PlannedArm
from include.settings import Settings
from include.spec import UseCase
from serving.models.loading import check_files, load_served
from serving.models.probation import try_in_child
from serving.scoring.served_model import ServedModel

logger = logging.getLogger("flightdeck.serving")


class Packages:
    """Finds, tries and loads versions. A version that this process has tried passes again."""

    def __init__(self, settings: Settings, use_case: UseCase) -> None:
        self.public_key = public_key(settings)
        self._settings = settings
        self._use_case = use_case
        self._passed: set[str] = set()

    def intact(self, arm: PlannedArm, *, stated: bool) -> Desired:
        """The version's package in the model store, or where that is gone or damaged the copy."""
        name = self._use_case.name
        stored = Desired(arm.version, arm.digest, version_folder(self._settings, name, arm.version))
        try:
            check_files(stored, self.public_key, name, stated=stated)
        except (RegistryError, OSError) as error:
            copy = copy_of(self._settings, name, arm.version, arm.digest)
            if copy is None:
                raise
            logger.warning("%s: a copy stands in for the model store's package: %s", name, error)
            copied = Desired(arm.version, arm.digest, copy)
            check_files(copied, self.public_key, name, stated=stated)
            return copied
        return stored

    def try_once(self, version: Desired) -> None:
        """Have a child process try a version, unless it has passed before; raises
        `ServingError`.
        """
        if version.digest not in self._passed:
            try_in_child(self._use_case.name, version, self.public_key)
        self._passed.add(version.digest)

    def load(self, version: Desired, *, passed: bool) -> ServedModel:
        """Load a version, tried before by a child process unless it is said to have passed."""
        if passed:
            self._passed.add(version.digest)
        self.try_once(version)
        return load_served(version, self._use_case, self.public_key)
