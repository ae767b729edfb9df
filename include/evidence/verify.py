"""Whether an archive of evidence is what was collected: by itself, without the platform, its
databases or its home.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from include.errors import EvidenceError, ReleaseError, SignatureError
from include.evidence.archive import FORMAT, MANIFEST, PURPOSE, SIGNATURE, Read, read
from include.evidence.records import finding
from include.evidence.releases import LEDGER_FILE
from include.evidence.scope import sha256
from include.model.signing import verify_statement_by
from include.release.ledger.export import verify_content
from include.verdict import Finding, Verdict


@dataclass(frozen=True)
class Checked:
    """What was found. `trusted` is False where it was checked with the key that came in the archive
    itself: that proves that it is whole, and not whose it is.
    """

    manifest: Mapping[str, Any]
    verdict: Verdict
    ledger_rows: int
    trusted: bool


def verify(path: Path, key_path: Path | None = None) -> Checked:
    """Check manifest, signature, every file, and the ledger's chain.

    Raises `EvidenceError` for what is no archive of evidence, or a key that cannot be read.
    """
    try:
        content = path.read_bytes()
        key = None if key_path is None else key_path.read_bytes()
    except OSError as error:
        raise EvidenceError(f"{error.filename or path} cannot be read: {error}.") from error
    archive = read(content, str(path))
    manifest = _manifest(archive, str(path))
    problems = [
        *(_changed(name, why) for name, why in archive.problems),
        *_signature(archive.files, manifest, key, key_path),
        *_files(archive, manifest),
    ]
    rows, broken = _ledger(archive.files, manifest)
    problems += broken
    findings = problems or [Finding(rule="evidence", subject=str(path), passed=True)]
    return Checked(manifest, Verdict(findings=tuple(findings)), rows, key is not None)


def _manifest(archive: Read, where: str) -> dict[str, Any]:
    try:
        manifest = json.loads(archive.files[MANIFEST])
        if manifest["format"] != FORMAT or not isinstance(manifest["files"], dict):
            raise EvidenceError(
                f"{where}: its format is {manifest['format']!r}; valid: {FORMAT!r}."
            )
    except (KeyError, TypeError, ValueError) as error:
        raise EvidenceError(
            f"{where} is no archive of evidence: {MANIFEST} is missing or damaged ({error!r}). Use"
            " another copy of it."
        ) from error
    return dict(manifest)


def _signature(
    files: Mapping[str, bytes],
    manifest: dict[str, Any],
    key: bytes | None,
    key_path: Path | None,
) -> Iterator[Finding]:
    if SIGNATURE not in files:
        yield finding("missing", SIGNATURE, f"{SIGNATURE} is missing: nobody has signed this.")
        return
    try:
        content = json.loads(files[SIGNATURE])
        signature, included = str(content["signature"]), str(content["public_key"])
        if {*content} != {"signature", "public_key"}:
            raise ValueError(f"it has the fields {sorted(content)}")  # noqa: TRY301
    except (ValueError, KeyError, TypeError) as error:
        yield _changed(SIGNATURE, f"is no signature ({error})")
        return
    if key is not None and key.decode("ascii", "replace").split() != included.split():
        yield _changed(SIGNATURE, f"names another public key than {key_path}")
    try:
        where = SIGNATURE if key is None else str(key_path)
        verify_statement_by(
            included.encode() if key is None else key, where, PURPOSE, manifest, signature
        )
    except SignatureError as error:
        yield finding("signature", MANIFEST, f"{MANIFEST} or {SIGNATURE} was changed: {error}")


def _files(archive: Read, manifest: Mapping[str, Any]) -> Iterator[Finding]:
    listed = manifest["files"]
    damaged = {name for name, _ in archive.problems}
    for name in sorted({*listed, *archive.files} - {MANIFEST, SIGNATURE} - damaged):
        if name not in archive.files:
            yield finding("missing", name, f"{name} is missing.")
        elif name not in listed:
            yield finding("added", name, f"{name} was added: the manifest does not name it.")
        elif sha256(archive.files[name]) != listed[name].get("sha256"):
            yield _changed(name, "was changed")


def _ledger(files: Mapping[str, bytes], manifest: Mapping[str, Any]) -> tuple[int, list[Finding]]:
    """How many rows of the ledger hold, and what does not."""
    head = manifest.get("ledger_head")
    if head is None:
        return 0, []
    content = files.get(LEDGER_FILE)
    if content is None:
        # It is named as missing already where the manifest lists it.
        listed = LEDGER_FILE in manifest["files"]
        text = f"{LEDGER_FILE} is missing, although the manifest names the ledger's head."
        return 0, [] if listed else [finding("missing", LEDGER_FILE, text)]
    try:
        checked = verify_content(content, LEDGER_FILE)
        same = json.loads(content)["head"] == head
    except (ReleaseError, ValueError, KeyError) as error:
        return 0, [finding("ledger", LEDGER_FILE, f"{LEDGER_FILE} does not hold: {error}")]
    if not same:
        return 0, [_changed(LEDGER_FILE, "has another head than the manifest names")]
    return checked.rows, []


def _changed(name: str, how: str) -> Finding:
    return finding("changed", name, f"{name} {how}.")
