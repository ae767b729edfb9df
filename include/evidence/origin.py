"""Where the version comes from: record, code, data, search, causes, package, reproduction."""

from __future__ import annotations

import json
from collections.abc import Iterator

from include.data_sets.query_script import SCRIPT_FILE
from include.evidence.records import (
    Evidence,
    Lack,
    RecordFile,
    finding,
    json_file,
    missing,
    sentences,
    without_rows,
)
from include.evidence.scope import Scope, sha256
from include.settings import PROJECT_ROOT
from include.training.architecture import ARCHITECTURE_FILE
from include.training.lineage import LINEAGE_FILE
from include.training.provenance import DIRTY, UNKNOWN
from include.training.record import RECORD_FILE, RECORD_TAG
from include.verdict import Finding

LOCK = "requirements.txt"
TRIALS, CAUSES = "trials.json", "causes.json"
IMAGES = "images.json"
"""The list of the images that `flightdeck images` built, in `<home>/images`."""


def origin(scope: Scope) -> Iterator[Evidence]:
    """The kinds of evidence that a training leaves."""
    train = f"flightdeck train {scope.use_case.name}"
    yield _record(scope)
    yield _code(scope)
    yield _file(scope, "architecture", ARCHITECTURE_FILE, train)
    yield _file(scope, "search", TRIALS, train)
    yield _file(scope, "causes", CAUSES, train)
    yield _file(scope, "lineage", LINEAGE_FILE, train)
    yield _file(scope, "query", SCRIPT_FILE, train)
    yield _package(scope)
    yield _libraries(scope)
    yield _reproduction(scope)


def _file(scope: Scope, kind: str, path: str, how: str) -> Evidence:
    """Evidence that is one file of the training's run."""
    record = scope.run_file(path, f"training/{path}")
    if record is None:
        return missing(kind, f"{path} of the training's run", how)
    if path.endswith(".json"):
        document = without_rows(json.loads(record.content))
        record = json_file(record.name, document, record.source)
    return Evidence(kind, exists=True, files=(record,))


def _record(scope: Scope) -> Evidence:
    content = scope.run_files.get(RECORD_FILE)
    if content is None:
        return missing(
            "record",
            f"{RECORD_FILE} of the training's run",
            f"flightdeck train {scope.use_case.name}",
        )
    record = RecordFile(f"training/{RECORD_FILE}", content, f"{scope.run_source}, {RECORD_FILE}")
    expected = scope.version.tags.get(RECORD_TAG.removeprefix("flightdeck."))
    findings, lacks = [], []
    if expected is None:
        lacks.append(
            Lack("the record's digest on the version", f"flightdeck train {scope.use_case.name}")
        )
    elif expected != sha256(content):
        findings.append(
            finding(
                "record",
                scope.name,
                "The training's record is not the one whose digest the version carries: it was"
                " edited after the version was registered.",
                sha256(content)[:16],
            )
        )
    if scope.record is None:
        lacks.append(Lack("a record that can be read", f"flightdeck train {scope.use_case.name}"))
    return Evidence(
        "record", exists=True, files=(record,), lacks=tuple(lacks), findings=tuple(findings)
    )


def _code(scope: Scope) -> Evidence:
    commit = UNKNOWN if scope.record is None else scope.record.code_commit
    if commit == UNKNOWN:
        return missing(
            "code",
            "the commit that the version was trained from",
            "train from a git checkout, a bundle or an image",
        )
    findings: tuple[Finding, ...] = ()
    if commit.endswith(DIRTY):
        findings = (
            finding(
                "code",
                scope.name,
                f"The version was trained from files that differ from commit"
                f" {commit.removesuffix(DIRTY)[:12]}: the code that made it is in no commit.",
                commit,
            ),
        )
    document = {"commit": commit, "run": scope.version.run_id}
    return Evidence(
        "code",
        exists=True,
        files=(json_file("training/code.json", document, f"{scope.run_source}, {RECORD_FILE}"),),
        facts=(f"Commit {commit}.",),
        findings=findings,
    )


def _package(scope: Scope) -> Evidence:
    package, digest = scope.package, scope.version.digest
    if package.problem is not None:
        return Evidence(
            "package",
            exists=bool(digest),
            facts=(package.problem,),
            lacks=(
                Lack(
                    "a package whose digest and signature hold",
                    "restore it from a backup, or register the version again",
                ),
            ),
            findings=(finding("package", scope.name, package.problem, digest[:16]),),
        )
    about_it = [row for row in scope.ledger.entries if row.version == scope.version.version]
    registered = [row for row in about_it if row.event == "registered"]
    lacks, findings = [], []
    if not registered:
        lacks.append(
            Lack(
                "the ledger's row of the registration",
                f"flightdeck train {scope.use_case.name} registers by the wired process",
            )
        )
    others = sorted({row.digest for row in about_it if row.digest != digest})
    if others:
        findings.append(
            finding(
                "digest",
                scope.name,
                f"The ledger knows version {scope.version.version} with digest {others[0][:16]},"
                f" the registry with {digest[:16]}: they are two packages.",
                others[0],
            )
        )
    return Evidence(
        "package",
        exists=True,
        facts=(f"Digest {digest[:16]} and signature hold for {len(package.digests)} files.",),
        lacks=tuple(lacks),
        findings=tuple(findings),
    )


def _libraries(scope: Scope) -> Evidence:
    train = f"flightdeck train {scope.use_case.name}"
    record = scope.record
    if record is None:
        return missing("libraries", "the training's libraries", train)
    document = {"environment": record.environment.model_dump(), "lock": record.lock_digest}
    source = f"{scope.run_source}, {RECORD_FILE}"
    files, lacks = [json_file("training/environment.json", document, source)], []
    lock = PROJECT_ROOT / LOCK
    content = lock.read_bytes() if lock.is_file() else b""
    if content and sha256(content) == record.lock_digest:
        files.append(RecordFile(f"training/{LOCK}", content, f"checkout, {LOCK}"))
    else:
        lacks.append(
            Lack(
                f"the list of all libraries with digest {record.lock_digest[:16]}",
                f"collect from the commit that the version was trained from: its {LOCK}",
            )
        )
    bills = _bills(scope, record.code_commit)
    files += bills
    if not bills:
        lacks.append(
            Lack(
                f"bills of materials of images of commit {record.code_commit[:12]}",
                "flightdeck images, where Docker runs",
            )
        )
    return Evidence(
        "libraries",
        exists=True,
        files=tuple(files),
        facts=(f"Python {record.environment.python}, lock {record.lock_digest[:16]}.",),
        lacks=tuple(lacks),
    )


def _bills(scope: Scope, commit: str) -> list[RecordFile]:
    """The bills of materials of the images of this commit that were built in this home."""
    folder = scope.settings.home / "images"
    listing = folder / IMAGES
    images = json.loads(listing.read_bytes()) if listing.is_file() else []
    names = [item["bill_of_materials"] for item in images if item["revision"] == commit]
    return [
        RecordFile(f"training/images/{name}", (folder / name).read_bytes(), f"images/{name}")
        for name in names
        if (folder / name).is_file()
    ]


def _reproduction(scope: Scope) -> Evidence:
    number = scope.version.version
    path = scope.settings.home / "reproduce" / f"{scope.use_case.name}-{number}.json"
    how = f"flightdeck reproduce {scope.use_case.name} {number}"
    if not path.is_file():
        return missing("reproduction", "a report of a training that was done again", how)
    content = path.read_bytes()
    report = json.loads(content)
    files = (RecordFile("training/reproduction.json", content, f"reproduce/{path.name}"),)
    if report.get("registered_digest") != scope.version.digest:
        lack = Lack("a report about this very package", how)
        return Evidence("reproduction", exists=True, files=files, lacks=(lack,))
    facts = (f"Outcome: {report['outcome']}.",)
    if report.get("proven"):
        return Evidence("reproduction", exists=True, files=files, facts=facts)
    blocking = sentences(
        item["what"] for item in report.get("findings", []) if item.get("blocking")
    )
    problem = finding(
        "reproduction",
        scope.name,
        f"The version was trained again and the result was {report['outcome']!r}"
        f"{f' for want of {blocking}' if blocking else ''}.",
        report["outcome"],
    )
    return Evidence("reproduction", exists=True, files=files, facts=facts, findings=(problem,))
