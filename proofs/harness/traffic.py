"""Callers that ask the endpoint until they are stopped, as docs/serving-operations.md tells
applications to: with an id, and again.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from uuid import uuid4

import httpx

from include.errors import PlatformError
from proofs.harness.world import USE_CASE

RETRY_STATUS = frozenset({429, 502, 503, 504})
RETRY_SECONDS = 60.0
FIRST_WAIT, LONGEST_WAIT = 0.05, 1.0
PREDICT = f"/v1/models/{USE_CASE}/predict"


def ask(
    client: httpx.Client, rows: list[dict[str, Any]], *, seconds: float = RETRY_SECONDS
) -> tuple[httpx.Response | None, int]:
    """The answer, and how often it was asked again; None when none came within `seconds`.

    One id for all attempts: whether an earlier attempt was answered and logged does not matter, it
    is answered and logged once. A request that is made once only (`seconds` is 0) has no id.
    """
    headers = {"X-Request-Id": uuid4().hex} if seconds else {}
    deadline, wait, again = time.monotonic() + seconds, FIRST_WAIT, 0
    while True:
        answer = None
        with suppress(httpx.TransportError):
            answer = client.post(PREDICT, json={"rows": rows}, headers=headers)
        if answer is not None and answer.status_code not in RETRY_STATUS:
            return answer, again
        if time.monotonic() >= deadline:
            return answer, again
        again += 1
        time.sleep(wait)
        wait = min(2 * wait, LONGEST_WAIT)


class Traffic:
    """`answered` are the prediction ids of all answers, `versions` how often each version answered,
    `errors` what else came.

    With `retries` a caller asks again, under one id, until it is answered; without, every attempt
    has no id and counts by itself, and `errors` holds statuses and codes.
    """

    def __init__(
        self, url: str, rows: list[dict[str, Any]], *, callers: int = 4, retries: bool = True
    ) -> None:
        self.answered: list[str] = []
        self.versions: Counter[int] = Counter()
        self.errors: Counter[str] = Counter()
        self.slowest = 0.0
        self.asked_again = 0
        self._retries = retries
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(url, rows[number::callers]))
            for number in range(callers)
        ]

    @contextmanager
    def flowing(self) -> Iterator[Traffic]:
        """Ask for the time of the block."""
        for thread in self._threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join()

    def wait_for(self, count: int, seconds: float = 60.0) -> None:
        """Let `count` more answers come."""
        target, deadline = len(self.answered) + count, time.monotonic() + seconds
        while len(self.answered) < target:
            if time.monotonic() > deadline:
                raise PlatformError(
                    f"{count} answers did not come within {seconds:g} s; errors:"
                    f" {dict(self.errors)}"
                )
            time.sleep(0.02)

    def _run(self, url: str, rows: list[dict[str, Any]]) -> None:
        limits = httpx.Limits(max_keepalive_connections=1)
        with httpx.Client(base_url=url, timeout=30.0, trust_env=False, limits=limits) as client:
            number = 0
            while not self._stop.is_set():
                number += 1
                started = time.monotonic()
                answer, again = ask(
                    client,
                    [rows[number % len(rows)]],
                    seconds=RETRY_SECONDS if self._retries else 0.0,
                )
                self._count(answer, again if self._retries else 0, time.monotonic() - started)

    def _count(self, answer: httpx.Response | None, again: int, seconds: float) -> None:
        with self._lock:
            self.slowest = max(self.slowest, seconds)
            self.asked_again += again
            if answer is None:
                self.errors["no answer"] += 1
            elif answer.status_code != httpx.codes.OK:
                self.errors[f"{answer.status_code} {answer.json()['error']['code']}"] += 1
            else:
                document = answer.json()
                self.versions[document["model_version"]] += 1
                self.answered.extend(row["prediction_id"] for row in document["predictions"])
