"""The bringer keeps this host's copy of what hosts share: traffic plans and the packages they name.

A plan is brought when its packages are here, checked against digest, signature and statement. So
slots follow files of this host, and what serves goes on serving, over a restart too, while the
shared store is away, tampered with or late. Of the processes of a host that share a home one brings
at a time.
"""

from __future__ import annotations

import fcntl
import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import IO

from include.errors import FlightdeckError, ServingError
from include.files import make_folder, write
from include.model.signing import public_key
from include.object_storage import ObjectStore
from include.release.model_store import at_hand
from include.release.plan import IssuedPlan, parse_issued, plan_name, plan_path, read_issued
from include.release.shared.objects import PLANS, objects_of, reaching
from include.settings import Settings

LOOK_SECONDS = 1.0
RETRY_SECONDS = 15.0
"""How long a plan that cannot be brought is left alone, unless it is replaced."""

logger = logging.getLogger("flightdeck.serving")


class Bringer:
    """Brings the plans of the use cases that `names` gives, in a thread of its own.

    Without a shared store it does nothing.
    """

    def __init__(self, settings: Settings, names: Callable[[], Iterable[str]]) -> None:
        self._settings, self._names = settings, names
        self._objects: ObjectStore | None = None
        self._looked: dict[str, tuple[str, float]] = {}
        self._problems: dict[str, str] = {}
        self._lock: IO[str] | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="flightdeck-bringer", daemon=True)

    def problem(self, use_case: str) -> str | None:
        """Say why the newest plan of a use case is not here; None where it is."""
        return self._problems.get(use_case)

    def start(self) -> None:
        """Begin looking."""
        if self._settings.models_uri is not None:
            self._thread.start()

    def stop(self) -> None:
        """End looking."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10.0)
        if self._lock is not None:
            self._lock.close()

    def _run(self) -> None:
        while True:
            self.look()
            if self._stop.wait(LOOK_SECONDS):
                return

    def look(self) -> None:
        """Bring what is new, unless another process of this home does."""
        if not self._is_alone():
            return
        try:
            # Anew where the environment has another secret since.
            self._objects = objects_of(self._settings)
            if self._objects is None:
                return
            with reaching():
                tags = self._objects.tags(f"{PLANS}/")
        except FlightdeckError as error:
            if "" not in self._problems:
                logger.warning("%s What serves stays.", error)
            self._problems[""] = str(error)
            return
        self._problems.pop("", None)
        for use_case in self._names():
            tag = tags.get(plan_name(use_case))
            if tag is not None and self._is_due(use_case, tag):
                self._bring(use_case, tag)

    def _is_due(self, use_case: str, tag: str) -> bool:
        looked, retry_at = self._looked.get(use_case, ("", 0.0))
        return tag != looked or (use_case in self._problems and time.monotonic() >= retry_at)

    def _bring(self, use_case: str, tag: str) -> None:
        self._looked[use_case] = (tag, time.monotonic() + RETRY_SECONDS)
        try:
            self._copy(use_case)
        except (FlightdeckError, OSError) as error:
            self._problems[use_case] = f"{type(error).__name__}: {error}"
            logger.warning("%s: the newest plan is not here: %s", use_case, error)
        else:
            self._problems.pop(use_case, None)

    def _copy(self, use_case: str) -> None:
        if self._objects is None:
            return
        name = plan_name(use_case)
        with reaching():
            stored = self._objects.read(name)
        if stored is None:
            return
        key, place = public_key(self._settings), f"{self._settings.models_uri}/{name}"
        issued, here = parse_issued(stored.content, key, use_case, place), self._here(use_case)
        if here is not None and here.order >= issued.order:
            return
        for arm in issued.plan.versions:
            folder = at_hand(self._settings, use_case, arm.version, arm.digest)
            if not folder.is_dir():
                raise ServingError(
                    f"The plan {issued.plan.sequence} names version {arm.version} of {use_case},"
                    f" which is not in {self._settings.models_uri}. Deploy it again."
                )
        write(plan_path(self._settings, use_case), stored.content, durable=True)

    def _here(self, use_case: str) -> IssuedPlan | None:
        try:
            return read_issued(of_this_host(self._settings), use_case)
        except (FlightdeckError, OSError):
            return None

    def _is_alone(self) -> bool:
        """Whether no other process of this home brings; the kernel lets go of what has ended."""
        if self._lock is None:
            path = self._settings.serving_dir / "bringer.lock"
            make_folder(path.parent, durable=False)
            file = path.open("a")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                return False
            self._lock = file
        return True


def of_this_host(settings: Settings) -> Settings:
    """The settings by which plans and packages are those of this host's disk."""
    return settings.model_copy(update={"models_uri": None})
