"""The online stores of all use cases are opened by a thread of their own: importing Feast and
reading its registry takes seconds.
"""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Mapping

from include.features.online.store import OnlineFeatures
from include.settings import Settings
from include.spec import UseCase
from serving.contract.errors import UnanswerableError

RETRY_SECONDS = 1.0

logger = logging.getLogger("flightdeck.serving")


class OnlineStores:
    """Opens every store and tries again until it is there, so that the endpoint may start before
    the features exist.
    """

    def __init__(self, settings: Settings, use_cases: Mapping[str, UseCase]) -> None:
        self._settings = settings
        self._use_cases = use_cases
        self._opened: dict[str, OnlineFeatures] = {}
        self._for: dict[str, UseCase] = {}
        """What each was opened for: the use case as the versions in force read it."""
        self._errors: dict[str, str] = {}
        self._opening = threading.Lock()
        self._stop = threading.Event()
        self._tried = threading.Event()
        self._thread = threading.Thread(target=self._run, name="flightdeck-stores", daemon=True)

    def start(self) -> None:
        """Begin opening."""
        self._thread.start()

    def stop(self) -> None:
        """Stop trying."""
        self._stop.set()
        self._thread.join(timeout=10.0)

    def wait_tried(self, seconds: float) -> bool:
        """Wait until opening every store was tried once; say whether it was within the time."""
        return self._tried.wait(seconds)

    def is_open(self, use_case: str) -> bool:
        """Say whether the use case's store can be read."""
        opened = self._opened.get(use_case)
        return opened is not None and self._covers(use_case) and opened.is_readable

    def blocks(self, use_case: str) -> bool:
        """Say whether a look-up goes over a network, so that an event loop must not wait for it."""
        opened = self._opened.get(use_case)
        return opened is not None and opened.blocks

    def get(self, use_case: str) -> OnlineFeatures:
        """Return the use case's store; raise `UnanswerableError` while it cannot be opened."""
        opened = self._opened.get(use_case)
        if opened is None or not self._covers(use_case):
            raise features_unavailable(self._errors.get(use_case, "it is being opened"))
        return opened

    def error(self, use_case: str) -> str | None:
        """Say why the store could not be opened at last; None where it is open or was not tried."""
        return None if self._covers(use_case) else self._errors.get(use_case)

    def prepare(self, use_case: UseCase) -> None:
        """Open the store for what versions will read that come into force, where it is open and
        does not look all of that up; raises `FeatureStoreError` naming what is gone.
        """
        opened_for = self._for.get(use_case.name)
        if opened_for is not None and not _looks_up(opened_for, use_case):
            self._put(use_case.name, use_case, self._opened_for(use_case))

    def _covers(self, name: str) -> bool:
        """Say whether what is open looks up all that the use case reads now."""
        use_case, opened_for = self._use_cases.get(name), self._for.get(name)
        if use_case is None or opened_for is None:
            return False
        if opened_for is use_case:
            return True
        if not _looks_up(opened_for, use_case):
            return False
        self._for[name] = use_case
        return True

    def _run(self) -> None:
        while True:
            for name, use_case in self._use_cases.items():
                if not self._covers(name):
                    self._open(name, use_case)
            self._tried.set()
            for name in set(self._opened) - set(self._use_cases):
                del self._opened[name], self._for[name]
            if self._stop.wait(RETRY_SECONDS):
                return

    def _opened_for(self, use_case: UseCase) -> OnlineFeatures:
        features = OnlineFeatures(use_case, self._settings)
        with self._opening:  # what Feast reads of its registry is the process's
            features.refresh()
        return features

    def _put(self, name: str, use_case: UseCase, features: OnlineFeatures) -> None:
        # What was open before may be answering: it ends with its last reader.
        self._opened[name] = features
        self._for[name] = use_case

    def _open(self, name: str, use_case: UseCase) -> None:
        try:
            features = self._opened_for(use_case)
        except Exception as error:  # whatever Feast raises: no store yet, try again
            if self._errors.get(name) != f"{type(error).__name__}: {error}":
                logger.exception("%s: the online store cannot be opened yet", name)
            self._errors[name] = f"{type(error).__name__}: {error}"
        else:
            _settle_memory()
            self._put(name, use_case, features)


def _looks_up(opened_for: UseCase, use_case: UseCase) -> bool:
    return set(use_case.feature_references) <= set(opened_for.feature_references)


def features_unavailable(reason: str) -> UnanswerableError:
    """Return the answer when features cannot be looked up."""
    return UnanswerableError(
        503, "features_unavailable", f"The online store cannot be read: {reason.rstrip('.')}."
    )


def _settle_memory() -> None:
    """Take what the libraries hold out of the garbage collector's sight: walking it would pause
    answers.
    """
    gc.collect()
    gc.freeze()
