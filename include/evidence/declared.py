"""What was declared: the use, its risk, who decides, what callers send, and the model's page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from include.evidence.records import Evidence, Lack, RecordFile, json_file, missing, sentences
from include.evidence.scope import DIGEST_FILE, SHOWN_OF_PACKAGE, Scope
from include.model.package import METADATA_FILE
from include.registry.versions import SIGNATURE_TAG

STATEMENTS = ("task", "business_impact", "metric", "data", "owner")
"""Fields of a use case that say what it is for and who answers for it."""
TRAINING = "train again: flightdeck train {name}"


def declared(scope: Scope) -> Iterator[Evidence]:
    """The kinds of evidence that are declarations."""
    yield _use(scope)
    yield _risk(scope)
    yield _people(scope)
    yield _interface(scope)
    yield _page(scope)


def _use(scope: Scope) -> Evidence:
    name = scope.use_case.name
    if scope.record is None:
        return missing(
            "use",
            "the declaration that the version was trained by",
            TRAINING.format(name=name),
        )
    trained = scope.record.specification.model_dump(mode="json")
    now = scope.use_case.model_dump(mode="json")
    changed = sorted(field for field in now if now[field] != trained.get(field))
    empty = [field for field in STATEMENTS if not str(trained.get(field) or "").strip()]
    lacks = (
        (Lack(f"{sentences(empty)} of the use case", f"declare it in use_cases/{name}/spec.py"),)
        if empty
        else ()
    )
    facts = [f"Owner {trained['owner']}.", f"Task: {trained['task']}"]
    if changed:
        facts.append(f"Today's declaration differs from the version's in {sentences(changed, 8)}.")
    return Evidence(
        "use",
        exists=True,
        files=(
            json_file("declared/as-trained.json", trained, f"{scope.run_source}, record.json"),
            json_file("declared/today.json", now, f"include/use_cases/{name}/spec.py"),
        ),
        facts=tuple(facts),
        lacks=lacks,
    )


def _risk(scope: Scope) -> Evidence:
    release = scope.use_case.release
    content = {"risk_class": release.risk_class, "approval": release.approval}
    is_declared = (
        "release" in scope.use_case.model_fields_set and "risk_class" in release.model_fields_set
    )
    if not is_declared:
        return missing(
            "risk",
            "a declared risk class",
            f"declare Release(risk_class=...) in use_cases/{scope.use_case.name}/spec.py",
            f"Nobody declared one: the default {release.risk_class!r} holds.",
        )
    source = f"include/use_cases/{scope.use_case.name}/spec.py"
    return Evidence(
        "risk",
        exists=True,
        files=(json_file("declared/risk.json", content, source),),
        facts=(f"Risk class {release.risk_class!r}.",),
    )


def _people(scope: Scope) -> Evidence:
    release, name = scope.use_case.release, scope.use_case.name
    where = f"in use_cases/{name}/spec.py"
    lacks = []
    if not release.approvers:
        lacks.append(Lack("people who may approve", f"declare Release(approvers=...) {where}"))
    if not release.overriders:
        lacks.append(
            Lack(
                "people who may go on or stop where a release decides nothing",
                f"declare Release(overriders=...) {where}",
            )
        )
    people = {
        "owner": scope.use_case.owner,
        "approvers": list(release.approvers),
        "overriders": list(release.overriders),
        "needs_approval": release.needs_approval,
    }
    source = f"include/use_cases/{name}/spec.py"
    return Evidence(
        "people",
        exists=bool(release.approvers or release.overriders),
        files=(json_file("declared/people.json", people, source),),
        facts=(
            f"May approve: {sentences(release.approvers) or 'nobody'}.",
            f"May override: {sentences(release.overriders) or 'nobody'}.",
        ),
        lacks=tuple(lacks),
    )


def _interface(scope: Scope) -> Evidence:
    metadata = scope.metadata
    if metadata is None:
        return missing(
            "interface",
            f"the package's {METADATA_FILE}",
            f"register the version again: flightdeck train {scope.use_case.name}",
        )
    source = f"package {scope.version.digest}"
    files = [
        RecordFile(f"model/{name}", scope.package.shown[name], f"{source}, {name}")
        for name in SHOWN_OF_PACKAGE
        if name in scope.package.shown
    ]
    files.append(
        json_file("model/files.json", dict(scope.package.digests), f"{source}, {DIGEST_FILE}")
    )
    lacks = (
        ()
        if metadata.request
        else (Lack("what callers send, in the package", TRAINING.format(name=scope.use_case.name)),)
    )
    sent = sentences((column.name for column in metadata.request), 12)
    return Evidence(
        "interface",
        exists=True,
        files=tuple(files),
        facts=(
            f"A {metadata.problem} model; callers send {sent or 'what the package does not say'}.",
        ),
        lacks=lacks,
    )


def _page(scope: Scope) -> Evidence:
    version = scope.version
    if not version.description.strip():
        return missing(
            "card",
            "the version's page",
            f"register the version again: flightdeck train {scope.use_case.name}",
        )
    source = f"MLflow registry, {version.name} version {version.version}"
    text = f"# {version.name}, version {version.version}\n\n{version.description}\n"
    tags: dict[str, Any] = {
        name: value for name, value in version.tags.items() if name != SIGNATURE_TAG
    }
    facts = {
        "model": version.name,
        "version": version.version,
        "digest": version.digest,
        "mlflow_run_id": version.run_id,
        "tags": tags,
    }
    remarks = [line for line in version.description.splitlines() if line.startswith("## ")]
    return Evidence(
        "card",
        exists=True,
        files=(
            RecordFile("model/page.md", text.encode(), source),
            json_file("model/version.json", json.loads(json.dumps(facts)), source),
        ),
        facts=tuple(f"{line.removeprefix('## ')}." for line in remarks[:1]),
    )
