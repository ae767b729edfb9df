"""What the DAG processor loads before it forks: the code that every DAG file imports.

Airflow parses every file in a fork of its own, which would import libraries and factories anew, at
the cost of several dozen parses. The forks of a process that has loaded them share its modules. So
that a changed factory or step still counts from the next parse on, the files' state is remembered:
a fork that finds another one forgets our modules and imports them as they stand on the disk.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module, invalidate_caches
from pathlib import Path

from airflow.sdk import DAG, BaseOperator

from include.catalogue import running
from include.errors import SpecError
from include.settings import load_settings

PACKAGES = frozenset({"cli", "dags", "feature_repo", "include", "plugins", "serving"})
"""What a version of the pipeline brings; everything else is installed."""
FACTORIES = "dags.factories"
DECLARATIONS = "include.processes.declarations"
SHARED = ("dags/factories", "include", "plugins")
"""The folders whose code every DAG file imports."""
USE_CASES = "use_cases"
"""Each file imports its own of these; none is loaded ahead."""

log = logging.getLogger(__name__)

State = frozenset[tuple[str, int, int]]


class LoadedCode:
    """The shared code of one checkout as this process, or the one that it was forked from, has
    loaded it.
    """

    def __init__(self) -> None:
        self._loaded: State | None = None
        self._broken: State | None = None

    def load(self, root: Path) -> None:
        """Load it, unless it is loaded as it stands on the disk; code that cannot be imported is
        left to the parses, which say why.
        """
        state = state_of(root)
        if state == self._broken:
            return
        if state != self._loaded:
            self._import(root, state)
        if self._loaded is not None:
            import_module(DECLARATIONS).remember_neighbours(load_settings())

    def _import(self, root: Path, state: State) -> None:
        forget()
        self._loaded = self._broken = None
        file = root / "dags" / "factories" / "__init__.py"
        try:
            with running(file, "dags/factories"):
                import_module(FACTORIES)
                _serialise_one()
        except SpecError as error:
            log.warning("%s; each parse tries to import it by itself", error)
            forget()
            self._broken = state
            return
        self._loaded = state
        # What is loaded stays: a fork's garbage collection need not touch, and so copy, its pages.
        gc.collect()
        gc.freeze()

    def renew(self, root: Path) -> None:
        """In a fork, forget what has been changed on the disk since it was loaded."""
        if self._loaded is not None and state_of(root) != self._loaded:
            forget()
            self._loaded = None


def state_of(root: Path) -> State:
    """Path, time of change and size of every shared file."""
    return frozenset(_files(root))


def forget() -> None:
    """Have our packages imported anew; objects that are there already, as Airflow's plugin, stay
    what they are.
    """
    for name in [name for name in sys.modules if name.partition(".")[0] in PACKAGES]:
        del sys.modules[name]
    invalidate_caches()


def _serialise_one() -> None:
    """Serialise a DAG of one task: at the first one Airflow imports operators and reads the schema,
    and each fork would do it anew.
    """
    from airflow.serialization.serialized_objects import DagSerialization

    dag = DAG("loaded_code", schedule=None)
    BaseOperator(task_id="task", dag=dag)
    DagSerialization.to_dict(dag)


def _files(root: Path) -> Iterator[tuple[str, int, int]]:
    for folder in SHARED:
        # Path.walk came with Python 3.12.
        for path, folders, names in os.walk(root / folder):
            folders[:] = [name for name in folders if name not in (USE_CASES, "__pycache__")]
            for file in (Path(path, name) for name in names if name.endswith(".py")):
                with suppress(FileNotFoundError):
                    status = file.stat()
                    yield str(file), status.st_mtime_ns, status.st_size
