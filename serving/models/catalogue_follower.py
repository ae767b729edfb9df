"""A running process learns of a use case that is added to the checkout, and forgets one that is
removed.

One that serves is never forgotten because a folder is gone for a moment: its plan must have no arms
any more, as after `flightdeck retire-use-case`. A specification that is edited is read again while
no version of it serves; after that it is read at the next start, as code is.
"""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Callable, Mapping

from include import catalogue
from include.errors import SpecError
from include.spec import UseCase
from serving.models.slots import ModelSlot

logger = logging.getLogger("flightdeck.serving")


class CatalogueFollower:
    """Compares the use cases of the checkout with those that are served.

    `add` and `drop` are called in the watching thread.
    """

    def __init__(
        self,
        slots: Mapping[str, ModelSlot],
        add: Callable[[UseCase], None],
        drop: Callable[[str], None],
    ) -> None:
        self._slots = slots
        self._add = add
        self._drop = drop
        self._stamps = {name: _stamp(name) for name in catalogue.names()}
        self._orphans: set[str] = set()

    def look(self) -> None:
        """Add what is new, drop what is gone."""
        present = catalogue.names()
        for name in present:
            self._learn(name)
        for name in set(self._slots) - set(present):
            self._forget(name)
        self._orphans &= set(self._slots) - set(present)

    def _learn(self, name: str) -> None:
        stamp, slot = _stamp(name), self._slots.get(name)
        if stamp is None or stamp == self._stamps.get(name):
            return
        if slot is not None and slot.in_service:
            return
        self._stamps[name] = stamp
        importlib.invalidate_caches()
        sys.modules.pop(f"include.use_cases.{name}.spec", None)
        try:
            self._add(catalogue.load_use_case(name))
        except SpecError as error:
            logger.warning("The use case %s is not served: %s", name, error)
        else:
            logger.info("The use case %s is served from now on", name)

    def _forget(self, name: str) -> None:
        self._stamps.pop(name, None)
        if not self._slots[name].in_service:
            self._drop(name)
            logger.info("The use case %s is gone and forgotten", name)
        elif name not in self._orphans:
            self._orphans.add(name)
            logger.warning(
                "The specification of %s is gone, and a version of it serves: it goes on until it"
                " is retired (flightdeck retire-use-case %s)",
                name,
                name,
            )


def _stamp(name: str) -> tuple[int, int] | None:
    try:
        status = (catalogue.FOLDER / name / "spec.py").stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
