"""The committer commits in groups: all that one turn of the event loop has scored is written
together, and no answer leaves before its rows are durable.

The loop itself writes a frame and waits for the disk, as a database does that syncs before it
answers: 0.1 ms on a solid-state disk, and what arrives meanwhile is the next frame. Handing it to a
thread and taking its end back cost several times as much, as both fight for the interpreter, and
the kernel's own workers come late on a busy machine. A disk that has been slow is not waited for:
for `PATIENT_SECONDS` the kernel syncs in the background and the loop goes on, so that only one
commit in that time can keep it.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from include.inference_log.frames import Frame
from include.inference_log.log import SpoolError
from include.inference_log.writer import LogWriter
from serving.contract.metrics import count_rows, stage
from serving.engine.counting import Mirror, count_batch, mirror_nothing
from serving.engine.pending import Batch, log_unavailable, resolve
from serving.engine.syncing import Syncing, open_syncing

SLOW_SECONDS = 0.01
PATIENT_SECONDS = 5.0

logger = logging.getLogger("flightdeck.serving")


@dataclass(slots=True, eq=False)
class _Commit:
    """Batches of one use case that are written together.

    `file` is what must be synced, None when nothing of them is logged.
    """

    use_case: str
    batches: Sequence[Batch]
    frame: Frame
    file: int | None
    started: float = field(default_factory=time.perf_counter)


class Committer:
    """Writes batches and gives their answers. Use it from one event loop."""

    def __init__(
        self,
        log: LogWriter,
        make_room: Callable[[], None],
        mirror: Mirror = mirror_nothing,
    ) -> None:
        """`make_room` is called when `LogWriter.make_room` should be, which takes too long for the
        event loop; `mirror` with each batch that was answered.
        """
        self._mirror = mirror
        self._log = log
        self._make_room = make_room
        self._uncommitted: dict[str, list[Batch]] = {}
        self._background: asyncio.Task[None] | None = None
        self._syncing: Syncing | None = None
        self._patient_until = 0.0

    def add(self, use_case: str, batches: Sequence[Batch]) -> None:
        """Make the batches durable, then give their answers."""
        if self._background is None and time.monotonic() >= self._patient_until:
            self._commit_now(use_case, batches)
            return
        self._uncommitted.setdefault(use_case, []).extend(batches)
        if self._background is None:
            self._background = asyncio.get_running_loop().create_task(
                self._commit_in_background(), name="flightdeck-committer"
            )

    def _commit_now(self, use_case: str, batches: Sequence[Batch]) -> None:
        commit = self._written(use_case, batches)
        if commit is None:
            return
        error = None
        if commit.file is not None:
            try:
                os.fdatasync(commit.file)
            except OSError as failure:
                error = failure
        self._end(commit, error)
        if time.perf_counter() - commit.started > SLOW_SECONDS:
            self._patient_until = time.monotonic() + PATIENT_SECONDS

    async def _commit_in_background(self) -> None:
        try:
            if self._syncing is None:
                self._syncing = open_syncing()
            while self._uncommitted:
                uncommitted, self._uncommitted = self._uncommitted, {}
                commits = [
                    commit
                    for use_case, batches in uncommitted.items()
                    if (commit := self._written(use_case, batches)) is not None
                ]
                for commit in commits:
                    self._end(commit, await _synced(self._syncing, commit))
        finally:
            # Should it ever fail, what is pending meets its deadline, and the next batch finds a
            # new task.
            self._background = None

    def _written(self, use_case: str, batches: Sequence[Batch]) -> _Commit | None:
        """Write the batches to the journal, not yet durable; return None when that failed and they
        are answered with it.
        """
        try:
            frame = self._log.encode(
                use_case, [row for batch in batches for row in batch.scored.log_rows]
            )
            return _Commit(use_case, batches, frame, self._log.write(use_case, frame))
        except SpoolError as error:
            _fail(batches, log_unavailable(error))
        except (
            Exception
        ) as error:  # one row that cannot be written must not end the loop's work for the others
            logger.exception("%s: %d batches cannot be logged", use_case, len(batches))
            _fail(batches, error)
        return None

    def _end(self, commit: _Commit, error: OSError | None) -> None:
        """Resolve the requests' futures."""
        if error is not None:
            try:
                self._log.failed(commit.use_case, commit.frame, error)
            except SpoolError as refusal:
                _fail(commit.batches, log_unavailable(refusal))
                return
        if self._log.needs_room(commit.use_case):
            self._make_room()
        stage(commit.use_case, "log").observe(time.perf_counter() - commit.started)
        count_rows(
            commit.use_case,
            [row.model_version for batch in commit.batches for row in batch.scored.log_rows],
        )
        for batch in commit.batches:
            count_batch(commit.use_case, batch)
            resolve(
                [
                    (job.future, answer, None)
                    for job, answer in zip(batch.jobs, batch.scored.answers, strict=True)
                ]
            )
            self._mirror(commit.use_case, batch.scored)


async def _synced(syncing: Syncing, commit: _Commit) -> OSError | None:
    """Say why the commit is not durable; None when it is, or need not be."""
    try:
        if commit.file is not None:
            await syncing.fdsync(commit.file)
    except OSError as error:
        return error
    except Exception as error:  # whatever a way of syncing raises, nothing was made durable
        logger.exception("%s: a sync in the background failed", commit.use_case)
        return OSError(errno.EIO, repr(error))
    return None


def _fail(batches: Sequence[Batch], error: BaseException) -> None:
    resolve([(job.future, None, error) for batch in batches for job in batch.jobs])
