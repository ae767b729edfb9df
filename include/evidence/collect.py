"""One archive of the evidence of a version over a period."""

from __future__ import annotations

import json
from collections.abc import Iterator, Set
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from include.errors import EvidenceError
from include.evidence.archive import packed
from include.evidence.assessment import Assessment, assess
from include.evidence.data import data
from include.evidence.declared import declared
from include.evidence.judged import judged
from include.evidence.logged import logged
from include.evidence.origin import origin
from include.evidence.page import page
from include.evidence.readiness import readiness
from include.evidence.records import Evidence, RecordFile, Withheld, json_file
from include.evidence.releases import LEDGER_FILE, releases
from include.evidence.scope import Scope
from include.evidence.text import text
from include.evidence.watched import watched
from include.files import write
from include.governance.annotations import history
from include.training.provenance import code_commit

HERE = "computed while collecting"
MODE = 0o600
"""An archive names people and what they decided: nobody else of the machine reads it."""


@dataclass(frozen=True)
class Collected:
    """What was collected: the archive's content, its manifest, and the assessment."""

    content: bytes
    manifest: dict[str, Any]
    assessment: Assessment


def collect(scope: Scope, *, moment: datetime, who: str) -> Collected:
    """The archive of everything that the stores hold; `moment` and `who` are stamped into it.

    Raises `FlightdeckError` where a store cannot be asked: what could not be looked at must not
    read like what is not there.
    """
    assessment = assess(_all(scope, moment))
    files = [file for part in assessment.evidence.values() for file in part.files]
    files += _remarks(scope)
    withheld = [item for part in assessment.evidence.values() for item in part.withheld]
    named = {file.source for file in files} | {item.source for item in withheld}
    withheld += _others(scope, named)
    listed = [item.as_json() for item in sorted(withheld, key=lambda item: item.source)]
    files.append(json_file("left-out.json", listed, HERE))
    files.append(json_file("assessment.json", assessment.as_json(), HERE))
    about = _about(scope, files, moment, who)
    pages = {"index.html": page(about, assessment), "index.md": text(about, assessment)}
    files += [RecordFile(name, shown.encode(), HERE) for name, shown in pages.items()]
    content, manifest = packed(scope.settings, about, files)
    return Collected(content, manifest, assessment)


def save(collected: Collected, path: Path) -> None:
    """Write the archive; nothing is replaced. Raises `EvidenceError`."""
    try:
        write(path, collected.content, replace=False, mode=MODE)
    except FileExistsError as error:
        raise EvidenceError(
            f"{path} is there already: evidence is not replaced. Name another file."
        ) from error
    except OSError as error:
        raise EvidenceError(f"{path} cannot be written: {error}.") from error


def _all(scope: Scope, moment: datetime) -> Iterator[Evidence]:
    yield from declared(scope)
    yield from origin(scope)
    yield from data(scope)
    yield from judged(scope)
    yield from readiness(scope)
    yield from releases(scope, moment)
    yield from watched(scope, moment)
    yield from logged(scope)


def _about(scope: Scope, files: list[RecordFile], moment: datetime, who: str) -> dict[str, Any]:
    ledger = next((file.content for file in files if file.name == LEDGER_FILE), None)
    return {
        "use_case": scope.use_case.name,
        "title": scope.use_case.title,
        "version": scope.version.version,
        "digest": scope.version.digest,
        "mlflow_run_id": scope.version.run_id,
        "environment": scope.settings.environment,
        "period": scope.period.as_json(),
        "period_text": scope.period.text,
        "collected_at": moment.isoformat(),
        "collected_by": who,
        "collected_with": code_commit(),
        "ledger_head": None if ledger is None else json.loads(ledger)["head"],
    }


def _others(scope: Scope, named: Set[str]) -> list[Withheld]:
    """The training's other files: what a use case or a library writes may hold anything."""
    return [
        scope.withheld(path, "a file of the use case or of a library: may hold values of rows")
        for path in scope.run_files
        if f"{scope.run_source}, {path}" not in named
    ]


def _remarks(scope: Scope) -> list[RecordFile]:
    """What people wrote beside the version and its training."""
    remarks = (
        *history(scope.tables, "model", scope.name),
        *history(scope.tables, "run", scope.version.run_id),
    )
    written = [remark.as_json() for remark in remarks]
    if not written:
        return []
    return [json_file("model/remarks.json", written, "table governance/annotations")]
