"""A slot holds the model that serves for a use case, and follows the model store's desired state.

A new version is on probation in a child process first. Then it is loaded, checked against digest,
signature and golden answers and warmed up beside the old one, and one reference is replaced.
Requests in flight keep the object they hold, and transform and model always come from the same
object. A copy of the version that serves is kept beside the log, so that it serves again after a
restart although the model store cannot be read.
"""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path

from include.errors import FlightdeckError, ServingError
from include.model.engine import ENGINES
from include.model.signing import public_key
from include.release.model_store import Desired, desired_path, keep_copy, read_state, write_state
from include.settings import Settings
from include.spec import UseCase
from serving.contract.errors import UnanswerableError
from serving.contract.metrics import ENGINE, LOAD_FAILURES, VERSION
from serving.models.loading import check_files, load_served
from serving.models.probation import libraries, try_in_child
from serving.scoring.served_model import ServedModel

RETRY_SECONDS = 15.0

logger = logging.getLogger("flightdeck.serving")


class ModelSlot:
    """The served and the desired version of one use case.

    Only the watching thread writes, everybody reads `serving`.
    """

    def __init__(self, settings: Settings, use_case: UseCase) -> None:
        self._public_key = public_key(settings)
        self.use_case = use_case
        self.serving: ServedModel | None = None
        self.desired: Desired | None = None
        self.last_error: str | None = None
        self._desired_path = desired_path(settings, use_case.name)
        self._last_good_path = self._desired_path.with_name("last_good.json")
        self._passed: set[str] = set()
        self._last_stamp: tuple[int, int] | None = None
        self._retry_at = 0.0

    def served(self) -> ServedModel:
        """Return the version that serves; raise `UnanswerableError` (503) when there is none."""
        served = self.serving
        if served is None:
            raise UnanswerableError(
                503,
                "no_model",
                f"No model of {self.use_case.name} is in service yet; see GET /v1/models.",
                "use_case",
            )
        return served

    def restore(self) -> None:
        """At start, serve the last version that was good here, at once, and then the desired one
        where that is another.
        """
        if not self._withdrawn() and self._last_good_path.exists():
            try:
                self._load(
                    read_state(self._last_good_path, self._last_good_path.read_bytes()),
                    passed=self._passed_here(),
                )
            except (FlightdeckError, OSError) as error:
                logger.warning(
                    "%s: the last good version cannot be loaded: %s", self.use_case.name, error
                )
        self.refresh()

    def _withdrawn(self) -> bool:
        try:
            return read_state(self._desired_path, self._desired_path.read_bytes()) is None
        except (ServingError, OSError):
            return False

    def _passed_here(self) -> bool:
        """Say whether the last good version passed its probation with the libraries installed
        now.
        """
        try:
            return bool(
                json.loads(self._last_good_path.read_bytes()).get("libraries") == libraries()
            )
        except (OSError, ValueError):
            return False

    def refresh(self) -> None:
        """Follow the desired state; a version that cannot be loaded is tried again every
        `RETRY_SECONDS`, and the old one stays.
        """
        stamp = _stamp(self._desired_path)
        patient = self.last_error is None or time.monotonic() < self._retry_at
        if stamp is None or (stamp == self._last_stamp and patient):
            return
        self._last_stamp = stamp
        try:
            self.desired = read_state(self._desired_path, self._desired_path.read_bytes())
            self._load(self.desired)
        except Exception as error:  # a bad package must not end the watching thread
            LOAD_FAILURES.labels(self.use_case.name).inc()
            self.last_error = f"{type(error).__name__}: {error}"
            self._retry_at = time.monotonic() + RETRY_SECONDS
            logger.exception("%s: the desired version cannot be loaded", self.use_case.name)
        else:
            self.last_error = None

    def _load(self, desired: Desired | None, *, passed: bool = False) -> None:
        if desired is None:
            self.serving = None
        elif self.serving is None or (self.serving.version, self.serving.digest) != (
            desired.version,
            desired.digest,
        ):
            if not passed and desired.digest not in self._passed:
                check_files(desired, self._public_key)
                try_in_child(self.use_case.name, desired, self._public_key)
            self._passed.add(desired.digest)
            self.serving = load_served(desired, self.use_case, self._public_key)
            self._remember(desired)
            logger.info("%s: version %d serves", self.use_case.name, desired.version)
        for engine in ENGINES:
            ENGINE.labels(self.use_case.name, engine).set(
                self.serving is not None and self.serving.scorer.engine.name == engine
            )
        VERSION.labels(self.use_case.name).set(0 if self.serving is None else self.serving.version)

    def _remember(self, desired: Desired) -> None:
        """Keep it for the next start. A full disk must not keep the version from serving now."""
        try:
            copy = keep_copy(self._last_good_path.with_name("last_good"), desired)
            write_state(self._last_good_path, {**copy.as_json(), "libraries": libraries()})
        except OSError:
            logger.exception(
                "%s: version %d cannot be kept for the next start",
                self.use_case.name,
                desired.version,
            )


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino
