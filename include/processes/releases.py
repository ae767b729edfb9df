"""What is written down about releases: the row of a registration, and the step by which every
monitoring run checks the ledger and what follows from it.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Mapping

from include.alarms.records import signal_of
from include.errors import RegistryError
from include.processes.alarms import close_safely, raise_safely
from include.processes.results import CheckedReleases
from include.release.ledger import Entry, Ledger
from include.release.reconcile import check
from include.release.registry_page import show_releases
from include.steps import StepContext
from include.verdict import GateVerdict, Verdict

LOG = logging.getLogger(__name__)


def check_releases(context: StepContext) -> CheckedReleases:
    """Verify the release ledger and compare MLflow's alias, the plan and the packages with it; what
    somebody changed is put back where that is possible, and refused by name where it is not.

    Nothing that serves is changed by a broken ledger: it is the alarm for people, and promotions
    stop until it is restored.
    """
    findings = check(context.settings, context.use_case, run=context.run.as_json())
    if findings[0].passed:
        _show_releases(context)
    verdict = Verdict(findings=tuple(findings))
    for finding in verdict.findings:
        if finding.outcome != "passed":
            LOG.warning("%s: %s: %s", context.use_case.name, finding.outcome, finding.sentence)
    _raise_or_close(context, verdict)
    rows = verdict.findings[0].observed
    return CheckedReleases(
        accepted=verdict.accepted,
        reasons=tuple(verdict.reasons),
        rows=rows if isinstance(rows, int) else 0,
        findings=verdict.findings,
    )


def _raise_or_close(context: StepContext, verdict: Verdict) -> None:
    """The alarm of a ledger that was changed by hand: raised, or closed once it holds again."""
    run, name = f"{context.run.process}/{context.run.run_id}", context.use_case.name
    if verdict.accepted:
        reason = "the ledger and what follows from it hold"
        close_safely(context.settings, name, "ledger", actor=run, reason=reason, subject="")
        return
    signal = signal_of(
        context.use_case,
        "ledger",
        " ".join(verdict.reasons),
        run=run,
        evidence=verdict,
        occurrence=f"try {context.run.try_number}",
    )
    raise_safely(context.settings, signal)


def _show_releases(context: StepContext) -> None:
    """Bring the versions' pages up to date; MLflow being away is for the next run."""
    name = context.use_case.name
    try:
        changed = show_releases(context.settings, name, Ledger(context.settings).rows(name))
    except RegistryError as error:
        LOG.warning("%s: the versions' pages are not up to date: %s", name, error)
    else:
        LOG.info("%s: pages of versions brought up to date: %s", name, changed)


def record_registration(
    context: StepContext,
    version: int,
    digest: str,
    verdict: GateVerdict,
    mlflow_run_id: str,
    metrics: Mapping[str, float],
) -> Entry:
    """Write the row `registered` of a version that passed its gates; the same run gives one row.

    The whole verdict lies with the MLflow run; the row has its SHA-256, so that nobody can say
    later that it was another. Raises `LedgerBroken`.
    """
    run = context.run
    compared = verdict.champion_version
    beside = "no champion to compare with" if compared is None else f"beside version {compared}"
    evidence = {
        "run": run.as_json(),
        "interval": context.interval.as_json(),
        "mlflow_run_id": mlflow_run_id,
        "champion_version": compared,
        "findings": len(verdict.findings),
        "verdict_sha256": hashlib.sha256(verdict.model_dump_json().encode()).hexdigest(),
        "metrics": {name: value for name, value in metrics.items() if math.isfinite(value)},
    }
    return Ledger(context.settings).append(
        "registered",
        context.use_case.name,
        version,
        digest,
        run.triggered_by or f"{run.process}:{run.trigger}",
        f"It passed all {len(verdict.findings)} findings of its gates, {beside}.",
        evidence,
    )
