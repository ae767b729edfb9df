"""A shadow scores what the champion has answered, in a process of its own, and answers nobody.

What was answered goes to it through a bounded queue, after the answer has left. Where it is too
slow, the queue is full and rows are dropped and counted; it has the lowest priority, a limit of
memory and the kernel's first choice when memory runs out; where it dies, another one is started
after `RESTART_SECONDS`. So its crash, its slowness and its memory are no matter of any caller's.
"""

from __future__ import annotations

import logging
import os
import pickle
import select
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, Full, Queue
from typing import IO, Any

from include.errors import ServingError
from include.inference_log.log import LoggedPrediction, shadow_id
from include.inference_log.writer import is_sampled
from include.release.model_store import Desired
from include.settings import PREFIX, PROJECT_ROOT, Settings
from include.spec import UseCase
from serving.contract.metrics import SHADOW_DROPPED, SHADOW_ROWS
from serving.models.probation import child_environment

QUEUE_BATCHES = 64
START_SECONDS = 90.0
RESTART_SECONDS = 15.0
STOP_SECONDS = 5.0
ERROR_CHARACTERS = 400
LENGTH = struct.Struct("<I")
LOOK_SECONDS = 0.2
READY = "ready"

Queued = tuple[int, Sequence[LoggedPrediction], Sequence[dict[str, Any]]]
Mirrored = tuple[str, dict[str, Any], dict[str, Any], list[str]]
"""A row for the shadow: its id, what it was scored from, its features, and its flags but for those
of unseen categories, which each model has of its own.
"""

logger = logging.getLogger("flightdeck.serving")


class Shadow:
    """The shadow of a use case in this process; `error` says why it does not score at present.

    `start` in the watching thread; `offer` from anywhere, it never waits.
    """

    def __init__(self, settings: Settings, use_case: UseCase, version: Desired, key: Path) -> None:
        self.version = version
        self.plan = 0
        self.error: str | None = None
        self.dropped = 0
        self._use_case = use_case
        self._command = [
            sys.executable,
            "-m",
            "serving.models.shadow_process",
            use_case.name,
            str(version.version),
            version.digest,
            str(version.folder),
            str(key),
        ]
        self._environment = {
            **child_environment(),
            f"{PREFIX}HOME": str(settings.home),
            f"{PREFIX}LOG_SEGMENT_BYTES": str(settings.log_segment_bytes),
        }
        self._queue: Queue[Queued] = Queue(QUEUE_BATCHES)
        self._retry_at = 0.0
        self._ending = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._feed, name="flightdeck-shadow", daemon=True)

    def is_of(self, version: int, digest: str) -> bool:
        """Say whether it is this version's."""
        return (self.version.version, self.version.digest) == (version, digest)

    def start(self, plan: int) -> None:
        """Start the process; return when it has loaded the version and answered its golden rows.

        Raises `ServingError` saying why it did not.
        """
        self.plan = plan
        self._child = self._launch()
        self._thread.start()

    def stop(self) -> None:
        """End it; what is queued is dropped."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join(timeout=STOP_SECONDS)
        self._end_child()

    def offer(self, rows: Sequence[LoggedPrediction], sources: Sequence[dict[str, Any]]) -> None:
        """Have it score rows that were answered, if it has room for them."""
        try:
            self._queue.put_nowait((self.plan, rows, sources))
        except Full:
            self._drop(len(rows))

    def _mirrored(
        self, rows: Sequence[LoggedPrediction], sources: Sequence[dict[str, Any]]
    ) -> list[Mirrored]:
        """What of a batch it is sent: the rows that are in the log."""
        share = self._use_case.serving.log_share
        return [
            (
                shadow_id(row.prediction_id),
                source,
                dict(row.features),
                [flag for flag in row.flags if not flag.startswith("unseen:")],
            )
            for row, source in zip(rows, sources, strict=True)
            if is_sampled(row.prediction_id, share)
        ]

    def _feed(self) -> None:
        while not self._ending.is_set():
            child = self._alive()
            try:
                plan, rows, sources = self._queue.get(timeout=LOOK_SECONDS)
            except Empty:
                continue
            mirrored = self._mirrored(rows, sources)
            if not mirrored:
                continue
            try:
                sent = child is not None and self._send(child, plan, mirrored)
            except OSError:
                sent = False
            if sent:
                SHADOW_ROWS.labels(self._use_case.name, str(self.version.version)).inc(
                    len(mirrored)
                )
            else:
                self._drop(len(mirrored))

    def _alive(self) -> subprocess.Popen[bytes] | None:
        """The child; None while it is dead and not yet to be started again."""
        child = self._child
        if child is not None and child.poll() is None:
            return child
        if child is not None:
            self.error = f"its process ended with {child.returncode}"
            logger.error("%s: the shadow: %s", self._use_case.name, self.error)
            self._end_child()
            self._retry_at = time.monotonic() + RESTART_SECONDS
        elif time.monotonic() >= self._retry_at:
            try:
                self._child = self._launch()
            except (ServingError, OSError) as error:
                self.error = str(error)
                self._retry_at = time.monotonic() + RESTART_SECONDS
        return self._child

    def _send(self, child: subprocess.Popen[bytes], plan: int, mirrored: list[Mirrored]) -> bool:
        """Write to the child as fast as it reads, for as long as it lives and nobody ends it."""
        message = pickle.dumps((plan, mirrored), pickle.HIGHEST_PROTOCOL)
        content = memoryview(LENGTH.pack(len(message)) + message)
        pipe = _pipe(child.stdin)
        while content and not self._ending.is_set() and child.poll() is None:
            if select.select([], [pipe], [], LOOK_SECONDS)[1]:
                content = content[os.write(pipe, content) :]
        return not content

    def _drop(self, rows: int) -> None:
        self.dropped += rows
        SHADOW_DROPPED.labels(self._use_case.name, str(self.version.version)).inc(rows)

    def _launch(self) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(
            self._command,
            cwd=PROJECT_ROOT,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        line = _first_line(child, time.monotonic() + START_SECONDS, self._ending)
        if line.strip() != READY:
            child.kill()
            text = line.strip()[-ERROR_CHARACTERS:] or f"its process ended with {child.wait()}"
            _close(child)
            raise ServingError(
                f"{self._use_case.name} version {self.version.version} cannot be the shadow: {text}"
            )
        os.set_blocking(_pipe(child.stdin), False)
        self.error = None
        return child

    def _end_child(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            _close(child)


def _first_line(child: subprocess.Popen[bytes], deadline: float, ending: threading.Event) -> str:
    """What the child says first; empty when it ends before, or takes too long."""
    content, pipe = b"", _pipe(child.stdout)
    while b"\n" not in content and time.monotonic() < deadline and not ending.is_set():
        if select.select([pipe], [], [], LOOK_SECONDS)[0]:
            more = os.read(pipe, 4096)
            if not more:
                break
            content += more
    return content.decode(errors="replace")


def _pipe(pipe: IO[bytes] | None) -> int:
    if pipe is None:
        raise ServingError("The shadow's process was started without pipes.")
    return pipe.fileno()


def _close(child: subprocess.Popen[bytes]) -> None:
    child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
