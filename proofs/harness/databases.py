"""The databases of MLflow and Airflow, migrated once on this machine and copied from then on.

All migrations of an empty MLflow database take two seconds of a core, Airflow's with the start of
its command several; most homes of tests and proofs need one of each.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from cli.platform.environment import process_environment
from include.files import sqlite_url
from include.settings import PROJECT_ROOT

CONNECTION = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"


def mlflow_at(path: Path) -> str:
    """The address of MLflow's database at `path`, which is made there as MLflow makes it."""
    _copy("mlflow", _migrate_mlflow, path)
    return sqlite_url(path)


def airflow_at(path: Path) -> None:
    """Make Airflow's metadata database at `path`, as `airflow db migrate` does."""
    _copy("airflow", _migrate_airflow, path)


def _copy(name: str, migrate: Callable[[Path], None], path: Path) -> None:
    """A copy of the migrated database; one that is there already stays."""
    if path.exists():
        return
    template = _folder() / f"{name}.db"
    if not template.exists():
        # Two processes may both make it; whichever ends last replaces an equal file.
        with tempfile.TemporaryDirectory(dir=template.parent) as aside:
            migrate(Path(aside) / "migrated.db")
            (Path(aside) / "migrated.db").replace(template)
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(template)) as source, closing(sqlite3.connect(path)) as target:
        source.backup(target)


def _folder() -> Path:
    """Where this user's templates lie: of this Python and these locked versions only."""
    locked = (PROJECT_ROOT / "requirements.txt").read_bytes() + sys.version.encode()
    key = hashlib.sha256(locked).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"flightdeck-databases-{os.getuid()}-{key}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        return Path(tempfile.mkdtemp(prefix="flightdeck-databases-"))
    return folder


def _migrate_mlflow(path: Path) -> None:
    from mlflow.store.db.utils import _initialize_tables, create_sqlalchemy_engine

    engine = create_sqlalchemy_engine(sqlite_url(path))
    _initialize_tables(engine)
    engine.dispose()


def _migrate_airflow(path: Path) -> None:
    own = {"AIRFLOW_HOME": str(path.parent), CONNECTION: sqlite_url(path)}
    environment = process_environment(own)
    subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"],
        env=environment,
        check=True,
        capture_output=True,
    )
    # What was written last may still lie beside the file.
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
