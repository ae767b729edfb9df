"""A version is loaded here: digest, signature and golden answers are checked before it answers."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from include.errors import ServingError
from include.features.version_interface import VersionInterface, as_read_by
from include.model.package import RELEASE_FILE, load_model, verify_files
from include.model.signing import verify_signature
from include.release.model_store import Desired
from include.release.statement import check_statement
from include.spec import UseCase
from serving.contract.schema import request_schema
from serving.scoring.golden_check import asked_difference, golden_requests
from serving.scoring.scorer import Scorer
from serving.scoring.served_model import ServedModel

WARM_UP_ROUNDS = 20
GOLDEN_TOLERANCE = 1e-6


def check_files(desired: Desired, key: Path, use_case: str, *, stated: bool = True) -> None:
    """Raise `DigestMismatch` or `SignatureError` unless the files are those that were signed, and
    published under this number; nothing is parsed.

    `stated=False` takes a package from before the statements at its word.
    """
    verify_files(desired.folder, desired.digest)
    verify_signature(desired.folder, key)
    if stated or (desired.folder / RELEASE_FILE).exists():
        check_statement(desired.folder, key, use_case, desired.version, desired.digest)


def check_contract(use_case: UseCase, served: ServedModel) -> None:
    """Raise `ServingError` unless the endpoint takes the golden rows as requests and answers them
    right; for a version that has not served yet.
    """
    contract = as_read_by(use_case, [served.interface])
    requests = golden_requests(request_schema(contract), served.model)
    difference = asked_difference(served.model, requests)
    if not difference <= GOLDEN_TOLERANCE:
        raise ServingError(
            f"Asked by requests, the version answers its golden rows {difference:g} off; at most"
            f" {GOLDEN_TOLERANCE:g} is right."
        )


def load_served(desired: Desired, use_case: UseCase, key: Path) -> ServedModel:
    """Check, load and warm up a version signed with `key`'s private half; raises a
    `FlightdeckError` saying why it must not serve.
    """
    verify_files(desired.folder, desired.digest)
    verify_signature(desired.folder, key)
    model = load_model(desired.folder, expected_digest=desired.digest)
    if model.metadata.use_case != use_case.name:
        raise ServingError(
            f"The package at {desired.folder} belongs to use case {model.metadata.use_case!r}, not"
            f" {use_case.name!r}."
        )
    difference = model.check_golden()
    if not difference <= GOLDEN_TOLERANCE:
        raise ServingError(
            f"The package at {desired.folder} answers its golden rows {difference:g} off; at most"
            f" {GOLDEN_TOLERANCE:g} is right."
        )
    interface = VersionInterface.of(desired.version, model.transform, model.metadata.request)
    scorer = Scorer(as_read_by(use_case, [interface]), model)
    scorer.warm_up(WARM_UP_ROUNDS)
    return ServedModel(desired.version, desired.digest, datetime.now(UTC), model, scorer)
