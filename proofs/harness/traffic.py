"""Callers that send requests to the endpoint until they are stopped, as docs/serving-operations.md
tells applications to: with an id, and again.
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
from include.tls import trusted
from proofs.harness.endpoint import PREDICT

RETRY_STATUS = frozenset({429, 502, 503, 504})
RETRY_SECONDS = 60.0
FIRST_WAIT, LONGEST_WAIT = 0.05, 1.0
PAUSE = 0.005
"""A caller asks a hundred times a second and more, which loads the endpoint and leaves time of the
cores for what is tried on it.
"""
NO_ANSWER = "no answer"
"""Of `Traffic.errors`, the requests whose connection was cut off or refused."""


def predict(
    client: httpx.Client, rows: list[dict[str, Any]], *, seconds: float = RETRY_SECONDS
) -> tuple[httpx.Response | None, int]:
    """The answer, and how often the request was repeated; None when none came within `seconds`.

    One id for all attempts: whether an earlier attempt was answered and logged does not matter, it
    is answered and logged once. A request that is made once only (`seconds` is 0) has no id.
    """
    headers = {"X-Request-Id": uuid4().hex} if seconds else {}
    deadline, wait, repeats = time.monotonic() + seconds, FIRST_WAIT, 0
    while True:
        answer = None
        with suppress(httpx.TransportError):
            answer = client.post(PREDICT, json={"rows": rows}, headers=headers)
        if answer is not None and answer.status_code not in RETRY_STATUS:
            return answer, repeats
        if time.monotonic() >= deadline:
            return answer, repeats
        repeats += 1
        time.sleep(wait)
        wait = min(2 * wait, LONGEST_WAIT)


class Traffic:
    """`answers` are the documents of all answers, each with the `row` of its request, `errors` what
    else came.

    `pause` is how many seconds a caller waits before each request. With `retries` a caller repeats
    a request, under one id, until it is answered; without, every attempt has no id and counts by
    itself, and `errors` holds statuses and codes.
    """

    def __init__(
        self,
        url: str,
        rows: list[dict[str, Any]],
        *,
        callers: int = 4,
        retries: bool = True,
        pause: float = PAUSE,
    ) -> None:
        self.answers: list[dict[str, Any]] = []
        self.errors: Counter[str] = Counter()
        self.slowest = 0.0
        self.repeats = 0
        self._retries = retries
        self._pause = pause
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(url, rows[number::callers]))
            for number in range(callers)
        ]

    @property
    def answered(self) -> list[str]:
        """The prediction ids of all answers."""
        return [row["prediction_id"] for answer in self.answers for row in answer["predictions"]]

    @property
    def versions(self) -> list[int]:
        """The versions that answered, in order."""
        return sorted({answer["model_version"] for answer in self.answers})

    @contextmanager
    def flowing(self) -> Iterator[Traffic]:
        """Send requests for the time of the block."""
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
        target, deadline = len(self.answers) + count, time.monotonic() + seconds
        while len(self.answers) < target:
            if time.monotonic() > deadline:
                raise PlatformError(
                    f"{count} answers did not come within {seconds:g} s; errors:"
                    f" {dict(self.errors)}"
                )
            time.sleep(0.02)

    def _run(self, url: str, rows: list[dict[str, Any]]) -> None:
        limits = httpx.Limits(max_keepalive_connections=1)
        with httpx.Client(
            base_url=url, timeout=30.0, trust_env=False, limits=limits, verify=trusted()
        ) as client:
            number = 0
            while not self._stop.wait(self._pause):
                number += 1
                row, started = rows[number % len(rows)], time.monotonic()
                answer, repeats = predict(
                    client, [row], seconds=RETRY_SECONDS if self._retries else 0.0
                )
                self._count(row, answer, repeats, time.monotonic() - started)
                if answer is None:
                    time.sleep(FIRST_WAIT)

    def _count(
        self, row: dict[str, Any], answer: httpx.Response | None, repeats: int, seconds: float
    ) -> None:
        with self._lock:
            self.slowest = max(self.slowest, seconds)
            self.repeats += repeats if self._retries else 0
            if answer is None:
                self.errors[NO_ANSWER] += 1
            elif answer.status_code != httpx.codes.OK:
                self.errors[f"{answer.status_code} {answer.json()['error']['code']}"] += 1
            else:
                self.answers.append({**answer.json(), "row": row})
