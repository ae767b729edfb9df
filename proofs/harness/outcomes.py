"""An application that tells the endpoint what came of its answers, a moment after it got them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from include.tls import trusted
from proofs.harness.endpoint import USE_CASE
from proofs.harness.traffic import Traffic

FEEDBACK = f"/v1/models/{USE_CASE}/feedback"
MOST_ROWS = 500
LATER_SECONDS = 0.3
ID_DIGITS = 8

Told = Callable[[int, dict[str, Any]], dict[str, Any]]
"""From the version that answered and its prediction to the field of the feedback."""


class Outcomes:
    """Tells of all answers of `traffic` whatever `told` says; `told_of` counts them by version."""

    def __init__(self, url: str, traffic: Traffic, told: Told) -> None:
        self.told_of: Counter[int] = Counter()
        self.errors: Counter[int] = Counter()
        self._url = url
        self._traffic = traffic
        self._told = told
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    @contextmanager
    def flowing(self) -> Iterator[Outcomes]:
        """Tell for the time of the block."""
        self._thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            self._thread.join()

    def _run(self) -> None:
        done = 0
        with httpx.Client(
            base_url=self._url, timeout=30.0, trust_env=False, verify=trusted()
        ) as client:
            while not self._stop.wait(LATER_SECONDS):
                answers = self._traffic.answers[done : done + MOST_ROWS]
                done += len(answers)
                if answers:
                    self._tell(client, answers)

    def _tell(self, client: httpx.Client, answers: list[dict[str, Any]]) -> None:
        rows = [
            {"prediction_id": row["prediction_id"], **self._told(answer["model_version"], row)}
            for answer in answers
            for row in answer["predictions"]
        ]
        status = client.post(FEEDBACK, json={"feedback": rows}).status_code
        if status == httpx.codes.OK:
            self.told_of.update(answer["model_version"] for answer in answers)
        else:
            self.errors[status] += 1


def rewards(rates: dict[int, float]) -> Told:
    """A reward of 1 for that part of a version's answers, of 0 for the others; which ones is a
    matter of their ids.
    """

    def told(version: int, prediction: dict[str, Any]) -> dict[str, Any]:
        drawn = int(prediction["prediction_id"][-ID_DIGITS:], 16) / 16**ID_DIGITS
        return {"reward": float(drawn < rates[version])}

    return told


def labels(right: int) -> Told:
    """Labels that come true as the version `right` said, and otherwise than any other said."""

    def told(version: int, prediction: dict[str, Any]) -> dict[str, Any]:
        return {"label": int(prediction["decision"] == (version == right))}

    return told
