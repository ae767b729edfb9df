"""`flightdeck backup`: everything of a home in one file, while the platform runs.

What refers to other things is read before them: Airflow's metadata, then in one moment the release
ledger, traffic plans, the inference log's spool and the tables' versions, then MLflow's database,
and last what never changes once it is written. So whatever is referred to is in the backup. In that
moment no release is recorded and no answer is moved into a table; the endpoint answers on.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from cli.backup.archive import Writer, writing_archive
from cli.backup.contents import (
    is_sqlite,
    is_transient,
    saved_files,
    spooled_files,
    tables_folder,
)
from cli.platform import metadata
from cli.platform.postgres import program
from cli.platform.supervision import database_at_hand
from include.catalogue import names
from include.errors import BackupError
from include.files import umask
from include.home_version import VERSION
from include.inference_log.log import one_shipper
from include.inference_log.spool import spool_path
from include.release.ledger.ledger import Ledger
from include.settings import Settings
from include.tables.moment import data_files, files_up_to, versions_of_one_moment

DUMP = "airflow/metadata.dump"
JOURNAL_CHUNK_BYTES = 1 << 20


def save(settings: Settings, path: Path) -> list[str]:
    """Write the backup, which must not exist yet; what is not in it, in sentences.

    Raises `BackupError`.
    """
    if not settings.home.is_dir():
        raise BackupError(
            f"There is no home {settings.home}: nothing to save. FLIGHTDECK_HOME names another."
        )
    if path.absolute().is_relative_to(settings.home.absolute()):
        raise BackupError(
            f"{path} lies in the home that it is to save: the next backup would hold this one, and"
            " both would be lost with the home. Choose a place outside of it."
        )
    missing, made_at = left_out(settings), datetime.now(UTC).isoformat(timespec="seconds")
    about = {"version": VERSION, "made_at": made_at, "left_out": missing}
    # Ours alone before the first secret is copied.
    with umask(0o077), writing_archive(path, about) as writer:
        _save(writer, settings)
    if settings.reports_uri is not None:
        missing.append(f"The reports that other hosts wrote: they lie in {settings.reports_uri}.")
    return missing


def left_out(settings: Settings) -> list[str]:
    """What lies elsewhere and has its own backups, in sentences."""
    missing = []
    if metadata.kind_of(settings) == "external":
        missing.append("Airflow's metadata: they lie in a database of their own.")
    if settings.ledger_url is not None:
        missing.append("The release ledger's rows and the alarms: they lie in a database.")
    if tables_folder(settings) is None:
        missing.append(
            f"The tables: they lie in {settings.tables_uri}. Have the storage keep versions of its"
            " objects, or copy what is below that address after this backup: it may name older"
            " versions of a table, which the copy still has, and never newer ones."
        )
    if settings.mlflow_database is not None:
        missing.append("MLflow's runs and versions: they lie in a database of their own.")
    if settings.mlflow_artifacts is not None:
        missing.append(
            f"The files of MLflow's runs: they lie in {settings.mlflow_artifacts}. Have the storage"
            " keep versions of its objects."
        )
    if settings.models_uri is not None:
        missing.append(
            f"What hosts share of the models: it lies in {settings.models_uri}. Have the storage"
            " keep versions of its objects. Packages can be published again from MLflow's, and the"
            " plan from the ledger, by `flightdeck ledger reconcile`."
        )
    return missing


def _save(writer: Writer, settings: Settings) -> None:
    if metadata.kind_of(settings) == "embedded" and metadata.data_folder(settings).exists():
        with _dump(settings) as dump:
            writer.add_file(DUMP, dump)
    ledger = settings.ledger_path.parent
    with _at_rest(settings):
        folder = tables_folder(settings)
        versions = versions_of_one_moment(folder) if folder else {}
        # Plans name rows of the ledger, its head the newest of them.
        for path in saved_files(settings):
            if path.is_relative_to(settings.serving_dir) and path.name.endswith(".json"):
                _add(writer, settings, path)
        for path in sorted(ledger.glob("*"), key=lambda path: path == settings.ledger_path):
            _add(writer, settings, path)
        for path in spooled_files(settings):
            _add(writer, settings, path)
    _save_the_rest(writer, settings, versions)


def _save_the_rest(writer: Writer, settings: Settings, versions: Mapping[Path, int]) -> None:
    """Databases first, which name the files that come after them."""
    files = [path for path in saved_files(settings) if _name(settings, path) not in writer.members]
    databases = [path for path in files if is_sqlite(path)]
    for path in [*databases, *(path for path in files if path not in databases)]:
        _add(writer, settings, path)
    for folder, version in versions.items():
        _add_table(writer, settings, folder, version)
    for path in saved_files(settings):
        # What came while the databases were copied, and may stand in them.
        _add(writer, settings, path)


def _add_table(writer: Writer, settings: Settings, folder: Path, version: int) -> None:
    """Raises `BackupError` where rows were removed meanwhile that the version has."""
    for path in files_up_to(folder, version):
        # Rows of former versions may be removed at any time.
        if not is_transient(path):
            with suppress(FileNotFoundError):
                writer.add_file(_name(settings, path), path)
    for path in data_files(folder, version):
        if _name(settings, path) not in writer.members:
            raise BackupError(
                f"{path} of the table {folder} was removed while the backup was made. Try again."
            )


@contextmanager
def _at_rest(settings: Settings) -> Iterator[None]:
    with ExitStack() as stack:
        if settings.ledger_path.parent.exists():
            stack.enter_context(Ledger(settings).at_rest())
        if spool_path(settings).exists():
            for name in sorted({*names(), *_logged(settings)}):
                stack.enter_context(one_shipper(settings, name))
        yield


def _logged(settings: Settings) -> list[str]:
    """The use cases that the endpoint has answered for, whether they are in the checkout or
    not.
    """
    journal = spool_path(settings).with_name("journal")
    return [path.name for path in journal.iterdir()] if journal.is_dir() else []


def _add(writer: Writer, settings: Settings, path: Path) -> None:
    name, journal = _name(settings, path), spool_path(settings).with_name("journal")
    if name in writer.members:
        return
    with suppress(FileNotFoundError):
        if is_sqlite(path):
            with _sqlite_copy(path) as copy:
                writer.add_file(name, copy, like=path)
        elif path.is_relative_to(journal):
            writer.add_bytes(name, _read_backwards(path), like=path)
        else:
            writer.add_file(name, path)


def _name(settings: Settings, path: Path) -> str:
    return path.relative_to(settings.home).as_posix()


@contextmanager
def _sqlite_copy(path: Path) -> Iterator[Path]:
    """A copy of a database at one moment, whoever writes to it."""
    with tempfile.TemporaryDirectory(prefix="flightdeck-backup-") as folder:
        copy = Path(folder) / path.name
        with (
            closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
        yield copy


def _read_backwards(path: Path) -> bytes:
    """A file that others append to, without a hole: what was written before something that is read
    was there when its own turn came.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        starts = range(0, size, JOURNAL_CHUNK_BYTES)
        read = [
            os.pread(file.fileno(), min(JOURNAL_CHUNK_BYTES, size - start), start)
            for start in reversed(starts)
        ]
    return b"".join(reversed(read))


@contextmanager
def _dump(settings: Settings) -> Iterator[Path]:
    """Airflow's metadata as PostgreSQL's own archive."""
    with tempfile.TemporaryDirectory(prefix="flightdeck-backup-") as folder:
        dump = Path(folder) / "metadata.dump"
        with database_at_hand(settings):
            done = subprocess.run(
                [
                    *(program("pg_dump"), "--format=custom", "--no-owner"),
                    *(f"--file={dump}", metadata.DATABASE),
                ],
                env={**os.environ, **metadata.libpq_environment(settings)},
                capture_output=True,
                check=False,
                text=True,
            )
        if done.returncode != 0:
            raise BackupError(f"pg_dump could not read Airflow's metadata: {done.stderr.strip()}")
        yield dump
