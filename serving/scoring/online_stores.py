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
        self._errors: dict[str, str] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="flightdeck-stores", daemon=True)

    def start(self) -> None:
        """Begin opening."""
        self._thread.start()

    def stop(self) -> None:
        """Stop trying."""
        self._stop.set()
        self._thread.join(timeout=10.0)

    def is_open(self, use_case: str) -> bool:
        """Say whether the use case's store can be read."""
        opened = self._opened.get(use_case)
        return opened is not None and opened.is_readable

    def blocks(self, use_case: str) -> bool:
        """Say whether a look-up goes over a network, so that an event loop must not wait for it."""
        opened = self._opened.get(use_case)
        return opened is not None and opened.blocks

    def get(self, use_case: str) -> OnlineFeatures:
        """Return the use case's store; raise `UnanswerableError` while it cannot be opened."""
        if use_case not in self._opened:
            raise features_unavailable(self._errors.get(use_case, "it is being opened"))
        return self._opened[use_case]

    def _run(self) -> None:
        while len(self._opened) < len(self._use_cases):
            for name, use_case in self._use_cases.items():
                if name not in self._opened:
                    self._open(name, use_case)
            if self._stop.wait(RETRY_SECONDS):
                return

    def _open(self, name: str, use_case: UseCase) -> None:
        try:
            features = OnlineFeatures(use_case, self._settings)
            features.refresh()
        except Exception as error:  # whatever Feast raises: no store yet, try again
            if name not in self._errors:
                logger.exception("%s: the online store cannot be opened yet", name)
            self._errors[name] = f"{type(error).__name__}: {error}"
        else:
            _settle_memory()
            self._opened[name] = features


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
