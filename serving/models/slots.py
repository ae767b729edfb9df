"""The served models: one slot per use case, filled from the model store's desired state by a
watching thread.

A new version stands its trial in a child process first. Then it is loaded, checked against digest,
signature and golden answers and warmed up beside the old one, and one reference is replaced.
Requests in flight keep the object they hold, and transform and model always come from the same
object. A copy of the version that serves is kept beside the log, so that it serves again after a
restart although the model store cannot be read.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from include.errors import FlightdeckError, ServingError
from include.model.engine import ENGINES
from include.model.package import ScoringModel, load_model, verify_files
from include.model.signing import public_key, verify_signature
from include.release.model_store import Desired, desired_path, keep_copy, read_state, write_state
from include.settings import Settings
from include.spec import UseCase
from serving.contract.metrics import ENGINE, LOAD_FAILURES, VERSION
from serving.models.probation import libraries, try_in_child
from serving.scoring.scorer import Scorer

WATCH_SECONDS = 0.25
RETRY_SECONDS = 15.0
WARM_UP_ROUNDS = 20
GOLDEN_TOLERANCE = 1e-6

logger = logging.getLogger("flightdeck.serving")


@dataclass(frozen=True)
class ServedModel:
    """A loaded version; `scorer` is what answers with it."""

    version: int
    digest: str
    since: datetime
    model: ScoringModel
    scorer: Scorer


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
        self._tried: set[str] = set()
        self._seen: tuple[int, int] | None = None
        self._retry_at = 0.0

    def restore(self) -> None:
        """At start: the last version that was good here, at once, and then the desired one where
        that is another.
        """
        if not self._withdrawn() and self._last_good_path.exists():
            try:
                self._load(
                    read_state(self._last_good_path, self._last_good_path.read_bytes()),
                    tried=self._tried_here(),
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

    def _tried_here(self) -> bool:
        """Whether the last good version stood its trial with the libraries that are installed now."""
        try:
            return bool(
                json.loads(self._last_good_path.read_bytes()).get("libraries") == libraries()
            )
        except (OSError, ValueError):
            return False

    def refresh(self) -> None:
        """Follow the desired state; a version that cannot be loaded is tried again every
        `RETRY_SECONDS`, the old one stays.
        """
        stamp = _stamp(self._desired_path)
        if stamp is None or (
            stamp == self._seen and (self.last_error is None or time.monotonic() < self._retry_at)
        ):
            return
        self._seen = stamp
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

    def _load(self, desired: Desired | None, *, tried: bool = False) -> None:
        if desired is None:
            self.serving = None
        elif self.serving is None or (self.serving.version, self.serving.digest) != (
            desired.version,
            desired.digest,
        ):
            if not tried and desired.digest not in self._tried:
                check_files(desired, self._public_key)
                try_in_child(self.use_case.name, desired, self._public_key)
            self._tried.add(desired.digest)
            self.serving = load_served(desired, self.use_case, self._public_key)
            self._remember(desired)
            logger.info("%s: version %d serves", self.use_case.name, desired.version)
        for engine in ENGINES:
            ENGINE.labels(self.use_case.name, engine).set(
                self.serving is not None and self.serving.scorer.engine.name == engine
            )
        VERSION.labels(self.use_case.name).set(0 if self.serving is None else self.serving.version)

    def _remember(self, desired: Desired) -> None:
        """For the next start. A disk that is full must not keep the version from serving now."""
        try:
            kept = keep_copy(self._last_good_path.with_name("last_good"), desired)
            write_state(self._last_good_path, {**kept.as_json(), "libraries": libraries()})
        except OSError:
            logger.exception(
                "%s: version %d cannot be kept for the next start",
                self.use_case.name,
                desired.version,
            )


class ModelWatcher:
    """The thread that keeps every slot at its desired state."""

    def __init__(self, settings: Settings, use_cases: Mapping[str, UseCase]) -> None:
        self.slots = {name: ModelSlot(settings, use_case) for name, use_case in use_cases.items()}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="flightdeck-models", daemon=True)

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin watching."""
        self._thread.start()

    def stop(self) -> None:
        """End watching and wait for the thread."""
        self._stop.set()
        self._thread.join(timeout=10.0)

    def _watch(self) -> None:
        for slot in self.slots.values():
            slot.restore()
        while not self._stop.wait(WATCH_SECONDS):
            for slot in self.slots.values():
                slot.refresh()


def check_files(desired: Desired, key: Path) -> None:
    """Raise `DigestMismatch` or `SignatureError` unless the files are those that were signed;
    nothing is parsed.
    """
    verify_files(desired.folder, desired.digest)
    verify_signature(desired.folder, key)


def load_served(desired: Desired, use_case: UseCase, key: Path) -> ServedModel:
    """Check, load and warm up a version signed with `key`'s private half; raises a
    `FlightdeckError` saying why it must not serve.
    """
    check_files(desired, key)
    model = load_model(desired.folder, expected_digest=desired.digest)
    if model.metadata.use_case != use_case.name:
        raise ServingError(
            f"The package at {desired.folder} belongs to use case {model.metadata.use_case!r}, not"
            f" {use_case.name!r}."
        )
    difference = model.check_golden()
    if not difference <= GOLDEN_TOLERANCE:
        raise ServingError(
            f"The package at {desired.folder} answers its golden rows {difference:g} off; at most"
            f" {GOLDEN_TOLERANCE:g} is right."
        )
    scorer = Scorer(use_case, model)
    scorer.warm_up(WARM_UP_ROUNDS)
    return ServedModel(desired.version, desired.digest, datetime.now(UTC), model, scorer)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino
