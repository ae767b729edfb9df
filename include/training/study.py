"""The record of a search that survives a kill: an Optuna study in a journal file of the run's own
folder.

The journal's lock is one that the kernel releases when its holder dies, and a line that a kill cut
short is dropped when the journal is opened again. The trial of that moment counts as failed; its
number is not counted by the search.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from include.errors import DataError
from include.files import locked
from include.steps import StepContext
from include.training.estimator import device_of
from include.training.folders import work_folder

if TYPE_CHECKING:
    import optuna

STUDY = "tuning"
SEARCH_SECONDS = 6 * 3600.0
STARTUP_TRIALS = 2
TAIL_BYTES = 65_536


class KernelLock:
    """An exclusive `flock` beside the journal.

    It has the two methods of Optuna's `BaseJournalFileLock`, whose own kinds outlive a killed
    holder by 30 seconds.
    """

    def __init__(self, journal: Path) -> None:
        self._path = journal.with_suffix(".lock")
        self._file: IO[bytes] | None = None

    def acquire(self) -> bool:
        """Wait for the lock."""
        self._file = self._path.open("ab")
        fcntl.flock(self._file, fcntl.LOCK_EX)
        return True

    def release(self) -> None:
        """Give the lock back."""
        if self._file is not None:
            self._file.close()
            self._file = None


def journal_of(
    context: StepContext, *, snapshot_digest: str, boundaries: Mapping[str, str], code_commit: str
) -> Path:
    """The journal of this search in the run's folder.

    A run that is repeated on other data, declarations or code starts a new one.
    """
    use_case = context.use_case
    searched = {
        "snapshot": snapshot_digest,
        "boundaries": dict(boundaries),
        "code": code_commit,
        "device": device_of(use_case, context.settings),
        "problem": {
            "name": use_case.problem.kind,
            **use_case.problem.loss_declaration,
        },
        "training": use_case.training.model_dump(mode="json"),
        "inputs": [item.model_dump(mode="json") for item in use_case.inputs],
    }
    key = hashlib.sha256(json.dumps(searched, sort_keys=True).encode()).hexdigest()[:12]
    return (
        work_folder(context.settings, use_case.name, context.run.run_id) / f"tuning-{key}.journal"
    )


@contextmanager
def one_search(journal: Path | None) -> Iterator[None]:
    """Hold the right to make trials; a second copy of the search waits, and then finds them made.

    Raises `DataError` when the first one takes longer than `SEARCH_SECONDS`.
    """
    if journal is None:
        yield
        return
    path = journal.with_suffix(".search")
    try:
        with locked(path, seconds=SEARCH_SECONDS):
            yield
    except TimeoutError as error:
        raise DataError(
            f"Another copy of this search holds {path} for more than {SEARCH_SECONDS:g} seconds."
            " End it, or run the task again when it has ended."
        ) from error


def open_study(journal: Path | None, *, warm_up: int) -> optuna.Study:
    """The run's study, made or continued; without a journal one in memory. Trials that a kill cut
    short are marked as failed.

    From the third finished trial on, Optuna's median rule prunes what is worse at the same round,
    from round `warm_up` on.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = None if journal is None else _storage(journal)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=STARTUP_TRIALS, n_warmup_steps=warm_up)
    study = optuna.create_study(
        storage=storage, study_name=STUDY, direction="minimize", pruner=pruner, load_if_exists=True
    )
    for left in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
        study.tell(left.number, state=optuna.trial.TrialState.FAIL)
    return study


def _storage(journal: Path) -> optuna.storages.JournalStorage:
    import optuna
    from optuna.storages.journal import JournalFileBackend

    journal.parent.mkdir(parents=True, exist_ok=True)
    lock = KernelLock(journal)
    lock.acquire()
    try:
        drop_torn_line(journal)
    finally:
        lock.release()
    return optuna.storages.JournalStorage(JournalFileBackend(str(journal), lock_obj=lock))


def drop_torn_line(journal: Path) -> None:
    """Cut what follows the last line end: a write that a kill interrupted."""
    if not journal.exists():
        return
    with journal.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - TAIL_BYTES, 0))
        tail = file.read()
        whole = size - len(tail) + tail.rfind(b"\n") + 1
        if whole < size:
            file.truncate(whole)
