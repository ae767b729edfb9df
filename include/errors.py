"""Every error that Flightdeck raises on purpose.

    FlightdeckError
    |-- SpecError            a use case declares something that cannot be
    |-- SettingsError        an environment variable or a setting is wrong
    |-- DataError            a table or a source is not what a step needs
    |   |-- TableNotFound    the table, or that version of it, does not exist
    |   |-- EmptyWindow      a window holds no row where there must be some
    |   |-- LateStep         newer data were written since the step read what it writes from
    |   |-- StorageError     object storage cannot be reached, or refuses what is asked of it
    |   `-- NotReadyYet      an earlier process has not finished this interval; try again later
    |-- FeatureStoreError    Feast's registry or stores contradict the specification
    |-- RegistryError        a run, a version or an artefact is missing or is not what its record
    says
    |   |-- DigestMismatch   the bytes are not the ones that were evaluated
    |   `-- SignatureError   the package is not signed, or not by our key
    |-- ReleaseError         a version cannot be packaged or put into service
    |   `-- LedgerBroken     the release ledger was changed past the product
    |-- AlarmError           an alarm cannot be recorded, changed or sent
    |-- ServingError         the endpoint or its model store is not in a usable state
    |-- EvidenceError        evidence cannot be written, or a file is no archive of it
    |-- BundleError          a pipeline's bundle cannot be built or deployed, or is not whole
    |-- BackupError          a backup cannot be made, is damaged, or has no empty home to go to
    `-- PlatformError        a process of the platform cannot start, stop or answer
        `-- PodLost          the pod of a step ended before its step did, or without its result

A *refusal* is not an error: a gate that decides "no" returns a verdict, and the operator turns it
into a failed task.
"""

from __future__ import annotations


class FlightdeckError(Exception):
    """Base of all errors that Flightdeck raises on purpose; its text says what to do."""


class SpecError(FlightdeckError):
    """A use-case specification contradicts itself."""


class SettingsError(FlightdeckError):
    """A setting is missing or has a value that is not valid."""


class DataError(FlightdeckError):
    """A table or a source is not what a step needs."""


class TableNotFound(DataError):
    """The table, or the version of it that was asked for, does not exist."""


class EmptyWindow(DataError):
    """A window holds no row where there must be some."""


class NotReadyYet(DataError):
    """An earlier process has not finished the interval that this step reads."""


class LateStep(DataError):
    """Newer data were written since the step read what it writes from: nothing of it is written."""


class StorageError(DataError):
    """Object storage cannot be reached, or refuses what is asked of it; nothing was written."""


class FeatureStoreError(FlightdeckError):
    """Feast's registry or stores contradict the specification."""


class RegistryError(FlightdeckError):
    """A run, a version or an artefact is missing, or is not what its record says."""


class DigestMismatch(RegistryError):
    """The bytes at hand are not the ones that were evaluated."""


class SignatureError(RegistryError):
    """A package carries no signature, or one that does not hold for its files under our key."""


class ReleaseError(FlightdeckError):
    """A version cannot be packaged or put into service."""


class LedgerBroken(ReleaseError):
    """The release ledger is not what was written into it: rows, head or keys were changed.

    `kind` is the manner of the break as `include.release.ledger.Kind` lists them, `row` the number
    of the first row that does not hold (0 where it is the whole ledger).
    """

    def __init__(self, kind: str, row: int, text: str) -> None:
        super().__init__(kind, row, text)
        self.kind, self.row, self.text = kind, row, text

    def __str__(self) -> str:
        return self.text


class AlarmError(FlightdeckError):
    """An alarm cannot be recorded, changed or sent."""


class ServingError(FlightdeckError):
    """The endpoint or its model store is not in a usable state."""


class EvidenceError(FlightdeckError):
    """Evidence of a model cannot be written, or a file is no archive of it."""


class BundleError(FlightdeckError):
    """A pipeline's bundle cannot be built, is not whole, or may not be deployed here."""


class BackupError(FlightdeckError):
    """A backup cannot be made, is not whole, or cannot be restored here."""


class PlatformError(FlightdeckError):
    """A process of the platform cannot start, stop or answer."""


class PodLost(PlatformError):
    """The pod of a step was killed, evicted or lost, or left no result: another try may go well."""
