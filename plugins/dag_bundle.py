"""The DAGs of the deployed pipeline as a bundle of Airflow, whose versions are the versions that
`flightdeck bundle deploy` unpacks (docs/pipeline-releases.md).

A run keeps the version that it began with: each of its tasks loads the code of that version,
whatever has been deployed since. Where nothing was deployed the checkout's DAGs run, as they stand
on the disk.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from airflow import settings as airflow_settings
from airflow.dag_processing.bundles.base import BaseDagBundle, BundleVersion
from airflow.dag_processing.importers.base import DagImportResult, get_importer_registry
from airflow.dag_processing.importers.python_importer import PythonDagImporter

from include.bundles.deployments import Deployments
from include.bundles.unpacked import version_root
from include.settings import PROJECT_ROOT, load_settings
from plugins.loaded_code import LoadedCode, forget

FOLDER = "dags"
LOADED = LoadedCode()
"""Of the DAG processor, and by fork of its parses."""


class PipelineBundle(BaseDagBundle):
    """The version that is deployed, or the one that a run began with.

    Where the version in use is the code that this process runs anyway, as right after `make up`,
    nothing is loaded twice.
    """

    supports_versioning = True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._root: Path | None = None
        self._current: str | None = self.version

    def initialize(self) -> None:
        """Find the version's files, which are unpacked again where they are not as they were built.

        Raises `BundleError`.
        """
        _register_importer()
        self._find()
        super().initialize()

    def refresh(self) -> None:
        """Look what is deployed now. Only the DAG processor asks: where the checkout itself runs,
        its parses find the shared code loaded.
        """
        if self.version is None:
            self._find()
        if self._root is None and hasattr(os, "fork"):
            LOADED.load(PROJECT_ROOT)

    def get_current_version(self) -> BundleVersion | None:
        """The version; None of a checkout."""
        return None if self._current is None else BundleVersion(self._current)

    @property
    def path(self) -> Path:
        """The folder of the DAG files."""
        return Path(airflow_settings.DAGS_FOLDER) if self._root is None else self._root / FOLDER

    def _find(self) -> None:
        settings = load_settings()
        current = self.version or Deployments(settings).current()
        self._root = None if current is None else version_root(settings, current)
        self._current = current


class VersionImporter(PythonDagImporter):
    """Imports a DAG file beside the code of its own version."""

    def import_file(
        self,
        file_path: str | Path,
        *,
        bundle_path: Path | None = None,
        bundle_name: str | None = None,
        safe_mode: bool = True,
    ) -> DagImportResult:
        """Import the DAGs of a file."""
        LOADED.renew(PROJECT_ROOT)
        if bundle_path is not None and (Path(bundle_path).parent / "include").is_dir():
            use_code(Path(bundle_path).parent)
        return super().import_file(
            file_path, bundle_path=bundle_path, bundle_name=bundle_name, safe_mode=safe_mode
        )


def use_code(root: Path) -> None:
    """Let this process import our packages from `root`, and what it starts too.

    What it has imported of them from elsewhere is forgotten; objects that are there already, as
    Airflow's plugin, stay what they are.
    """
    active = _active_root()
    if active == root:
        return
    forget()
    others = [entry for entry in sys.path if Path(entry or Path.cwd()) != active]
    sys.path[:] = [str(root), *others]
    os.environ["PYTHONPATH"] = str(root)
    # `python -m` looks into the folder where it is started first of all.
    os.chdir(root)
    importlib.invalidate_caches()


def _active_root() -> Path | None:
    """Where `include` was imported from."""
    package = sys.modules.get("include")
    file = None if package is None else package.__file__
    return None if file is None else Path(file).parents[1]


def _register_importer() -> None:
    """Once in a process: what is forked from it imports so too."""
    registry = get_importer_registry()
    if type(registry.get_importer("x.py")).__name__ == VersionImporter.__name__:
        return
    with _without_warning("airflow.dag_processing.importers.base"):
        registry.register(VersionImporter())


@contextmanager
def _without_warning(logger: str) -> Iterator[None]:
    """That Airflow's own importer is replaced is what is meant to be."""
    log = logging.getLogger(logger)
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)
