"""Releasing a version that its gates refused: a right of its own, which stays visible.

The version carries the tag `decision=refused` in MLflow for ever; what lets it be selected is a row
`override` of the signed ledger about exactly its number and digest, with who and why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from include.errors import RegistryError, ReleaseError
from include.registry import versions
from include.registry.client import connect
from include.registry.run_files import read_json
from include.release.approval import SHORTEST_REASON
from include.release.ledger import Entry, Ledger
from include.release.reconcile import require_sound_ledger
from include.release.registry_page import show_releases
from include.settings import Settings
from include.spec import UseCase
from include.verdict import GATE_COLUMNS, Finding, GateVerdict, Verdict

GATES = "gates"
GATES_FILE = "gates.json"


@dataclass(frozen=True)
class Overridden:
    """The ledger's row by which a version may be released; `page_problem` says why its page in
    MLflow does not tell it yet, None where it does.
    """

    entry: Entry
    page_problem: str | None


def let_be_tried(
    settings: Settings,
    use_case: UseCase,
    candidate: str,
    *,
    person: str,
    reason: str,
    evidence: dict[str, Any],
) -> Overridden:
    """Let a version be released that its gates refused, by the right of one of `overriders`.

    :param candidate: a version's number, or the MLflow run of a refused training, which becomes a
        version without an alias.
    :param person: who uses the right; whoever calls has made sure that it is they.

    Raises `ReleaseError` where the person has no such right, typed no reason, or the gates accepted
    the candidate; `RegistryError` where there is none; `LedgerBroken` before anything else.
    """
    require_sound_ledger(settings)
    _require_right(use_case, person, reason)
    if candidate.isdecimal():
        version = versions.version(settings, use_case, int(candidate))
        verdict = gates_of(settings, version.run_id)
    else:
        version, verdict = _registered(settings, use_case, candidate)
    if version.tags.get("decision") == "accepted":
        raise ReleaseError(
            f"The gates accepted version {version.version} of {use_case.name}: there is nothing to"
            f" override; {use_case.dag_id('deployment')} releases it as it is."
        )
    entry = override_gates(
        Ledger(settings),
        use_case.name,
        version.version,
        version.digest,
        actor=person,
        reason=reason.strip(),
        verdict=verdict,
        evidence={**evidence, "mlflow_run_id": version.run_id},
    )
    return Overridden(entry, _show(settings, use_case.name))


def gates_of(settings: Settings, mlflow_run_id: str) -> GateVerdict:
    """What the gates said of a training's candidate, as its run keeps it; without a finding where
    it keeps nothing.
    """
    table = read_json(connect(settings), mlflow_run_id, GATES_FILE) if mlflow_run_id else None
    if table is None:
        return GateVerdict()
    rows = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
    return GateVerdict(
        findings=tuple(
            Finding(**{field: row[name] for field, name in GATE_COLUMNS.items() if name in row})
            for row in rows
        )
    )


def override_gates(
    ledger: Ledger,
    use_case: str,
    version: int,
    digest: str,
    *,
    actor: str,
    reason: str,
    verdict: Verdict,
    evidence: dict[str, Any],
) -> Entry:
    """Record that a person lets a refused version be released; `verdict` is that of its gates."""
    content = {**evidence, "about": GATES, "verdict": verdict.model_dump(mode="json")}
    return ledger.append("override", use_case, version, digest, actor, reason, content)


def gate_override(rows: Sequence[Entry], version: int, digest: str) -> Entry | None:
    """The newest override of the gates of exactly this version and digest; None without one."""
    about = [
        row
        for row in rows
        if row.event == "override"
        and row.evidence.get("about") == GATES
        and (row.version, row.digest) == (version, digest)
    ]
    return about[-1] if about else None


def _require_right(use_case: UseCase, person: str, reason: str) -> None:
    people = use_case.release.overriders
    if person not in people:
        valid = ", ".join(people) or "nobody: the list is empty"
        raise ReleaseError(
            f"{person!r} may not override a gate of {use_case.name}: it is a right of its own, and"
            f" its specification gives it (release.overriders) to {valid}."
        )
    if len(reason.strip()) < SHORTEST_REASON:
        raise ReleaseError(
            "An override needs a typed reason, which stays in the ledger and on the version's page:"
            " say why a version that its gates refused should be tried."
        )


def _registered(
    settings: Settings, use_case: UseCase, run: str
) -> tuple[versions.RegisteredVersion, GateVerdict]:
    """The version of a training that the gates refused, registered without an alias."""
    from mlflow.exceptions import MlflowException

    try:
        tags = connect(settings).get_run(run).data.tags
    except MlflowException as error:
        raise RegistryError(
            f"{run!r} is neither a version's number nor an MLflow run of {use_case.name}; find the"
            " run of a refused training with: flightdeck experiments search"
        ) from error
    digest, verdict = tags.get("flightdeck.digest"), gates_of(settings, run)
    if digest is None or not verdict.findings:
        raise RegistryError(
            f"The training {run} has no package that the gates judged: it ended before them."
        )
    if verdict.accepted:
        raise ReleaseError(
            f"The gates accepted the candidate of training {run}: there is nothing to override."
        )
    number = versions.register_refused(settings, use_case, run, digest, verdict)
    return versions.version(settings, use_case, number), verdict


def _show(settings: Settings, name: str) -> str | None:
    try:
        show_releases(settings, name, Ledger(settings).rows(name))
    except RegistryError as error:
        return str(error)
    return None
