"""Of several copies of a step, one at a time writes to MLflow.

MLflow has no unique names for runs, logged models and versions of a run: two copies that look and
create at the same moment would both create. Of two that set one tag at the same moment, one is
refused by its database. The lock is the kernel's, so it goes with its holder;
it orders the processes that share a home.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from include.errors import RegistryError
from include.files import locked
from include.settings import Settings

LOCK_SECONDS = 600.0


@contextmanager
def one_copy(settings: Settings, use_case_name: str, run_id: str) -> Iterator[None]:
    """Hold the right to write what belongs to a run; waits for it.

    Raises `RegistryError` when another copy has hung for `LOCK_SECONDS`.
    """
    name = hashlib.sha256(f"{use_case_name}/{run_id}".encode()).hexdigest()[:24]
    path = settings.home / "locks" / f"{name}.lock"
    try:
        with locked(path, seconds=LOCK_SECONDS):
            yield
    except TimeoutError as error:
        raise RegistryError(
            f"Another copy of this step of run {run_id} holds {path} and does not end; end it, or"
            " run the task again later."
        ) from error
