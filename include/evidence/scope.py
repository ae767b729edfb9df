"""What is audited, and the records that several kinds of evidence read: a version, its training's
files, its package, the release ledger's rows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
from pydantic import ValidationError

from include.errors import FlightdeckError, LedgerBroken, RegistryError
from include.evidence.records import Period, RecordFile, Withheld
from include.model.metadata import ModelMetadata
from include.model.package import METADATA_FILE, SIGNATURE_FILE
from include.registry import versions
from include.registry.client import connect
from include.registry.run_files import paths, read_bytes
from include.registry.versions import RegisteredVersion
from include.release.in_service import released_version
from include.release.ledger import Entry, Ledger
from include.release.reconcile import witnesses
from include.settings import Settings
from include.spec import UseCase
from include.tables.store import TableStore
from include.training.record import RECORD_FILE, TrainingRecord

MONITORING_FOLDER = "monitoring"
"""What monitoring logs to a version's run lies in the tables and reports too."""
DIGEST_FILE = "digest.json"
SHOWN_OF_PACKAGE = (METADATA_FILE, DIGEST_FILE, SIGNATURE_FILE)


@dataclass(frozen=True)
class Package:
    """Facts of a version's package: its small files, the digest and size of each, and why it does
    not hold (None: digest and signature do).
    """

    shown: Mapping[str, bytes]
    digests: Mapping[str, str]
    problem: str | None


@dataclass(frozen=True)
class LedgerState:
    """The use case's rows of the release ledger, and why the ledger does not hold."""

    entries: tuple[Entry, ...]
    broken: LedgerBroken | None


class Scope:
    """One version of one use case over a period."""

    def __init__(
        self, settings: Settings, use_case: UseCase, version: RegisteredVersion, period: Period
    ) -> None:
        self.settings, self.use_case, self.version, self.period = (
            settings,
            use_case,
            version,
            period,
        )
        self.tables = TableStore(settings.tables_uri)

    @classmethod
    def of(cls, settings: Settings, use_case: UseCase, number: int | None, period: Period) -> Scope:
        """The scope of a version, the one in service where none is named.

        Raises `RegistryError` where there is no such version, or none in service.
        """
        if number is None:
            served = released_version(settings, use_case)
            if served is None:
                raise RegistryError(
                    f"No version of {use_case.name} is in service; name one with --version."
                )
            number = served.version
        return cls(settings, use_case, versions.version(settings, use_case, number), period)

    @property
    def name(self) -> str:
        """`<use case>/<version>`."""
        return f"{self.use_case.name}/{self.version.version}"

    @property
    def run_source(self) -> str:
        """Where the training's files come from."""
        return f"MLflow run {self.version.run_id}"

    @cached_property
    def run_files(self) -> dict[str, bytes]:
        """The files of the training's run by their paths."""
        from mlflow.exceptions import MlflowException

        client = connect(self.settings)
        try:
            names = list(paths(client, self.version.run_id, without=MONITORING_FOLDER))
        except MlflowException as error:
            raise RegistryError(
                f"The run {self.version.run_id} of {self.name} cannot be read from"
                f" {self.settings.mlflow_tracking_uri}: {error}"
            ) from error
        read = {name: read_bytes(client, self.version.run_id, name) for name in names}
        return {name: content for name, content in read.items() if content is not None}

    def run_file(self, path: str, name: str) -> RecordFile | None:
        """A file of the training's run under a name of the archive; None where there is none."""
        content = self.run_files.get(path)
        if content is None:
            return None
        return RecordFile(name, content, f"{self.run_source}, {path}")

    def run_json(self, path: str) -> Any:
        """The content of a JSON file of the run; None where there is none."""
        content = self.run_files.get(path)
        return None if content is None else json.loads(content)

    def run_table(self, path: str) -> list[dict[str, Any]]:
        """The rows of a table that was logged to the run; none where there is no such table."""
        table = self.run_json(path)
        if table is None:
            return []
        return [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]

    def withheld(self, path: str, why: str) -> Withheld:
        """A file of the run by its digest."""
        content = self.run_files[path]
        source = f"{self.run_source}, {path}"
        return Withheld(path, sha256(content), len(content), source, why)

    @cached_property
    def record(self) -> TrainingRecord | None:
        """The training's record; None where there is none that can be read."""
        content = self.run_files.get(RECORD_FILE)
        try:
            return None if content is None else TrainingRecord.read(content.decode())
        except (ValidationError, UnicodeDecodeError):
            return None

    @cached_property
    def package(self) -> Package:
        """The version's package, its digest and signature checked."""
        with TemporaryDirectory(prefix="flightdeck-evidence-") as folder:
            try:
                package = versions.download(self.version, Path(folder))
            except FlightdeckError as error:
                return Package({}, {}, str(error))
            files = {
                path.relative_to(package).as_posix(): path.read_bytes()
                for path in sorted(package.rglob("*"))
                if path.is_file()
            }
        shown = {name: files[name] for name in SHOWN_OF_PACKAGE if name in files}
        return Package(shown, {name: sha256(content) for name, content in files.items()}, None)

    @cached_property
    def metadata(self) -> ModelMetadata | None:
        """What the package says of the model; None where it cannot be read."""
        content = self.package.shown.get(METADATA_FILE)
        return None if content is None else ModelMetadata.model_validate_json(content)

    @cached_property
    def ledger(self) -> LedgerState:
        """The rows about the use case, verified with all that names them."""
        ledger = Ledger(self.settings)
        try:
            ledger.verify(witnesses=witnesses(self.settings))
            return LedgerState(tuple(ledger.rows(self.use_case.name)), None)
        except LedgerBroken as broken:
            return LedgerState((), broken)

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """The ledger's rows about the use case up to the end of the period; all of them where data
        were replayed, for then the ledger's time is another than that of the data.
        """
        rows = self.ledger.entries
        until = tuple(row for row in rows if self.period.began_before(row.recorded_at))
        began = any(row.version == self.version.version for row in until)
        return until if began or not self._answered_in_the_period() else rows

    @property
    def version_entries(self) -> tuple[Entry, ...]:
        """Those about this very version."""
        return tuple(row for row in self.entries if row.version == self.version.version)

    def _answered_in_the_period(self) -> bool:
        """Whether monitoring saw answers of the version to questions of the period."""
        name = f"{self.use_case.name}/monitoring"
        if not self.tables.exists(name):
            return False
        where = self.period.where_overlaps() & (pl.col("model_version") == self.version.version)
        return not self.tables.read(name, columns=["model_version"], where=where).is_empty()


def sha256(content: bytes) -> str:
    """The digest in hexadecimal."""
    return hashlib.sha256(content).hexdigest()
