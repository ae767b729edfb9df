"""What the signed ledger says of the version: who asked, who approved, what was shown, who answered
callers since when, and whether the ledger holds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime

import polars as pl

from include.bundles.deployments import Deployments
from include.decisions.reviews import ID as PREDICTION_ID
from include.decisions.reviews import REQUESTED as REVIEW_REQUESTED
from include.decisions.reviews import reviews, standing
from include.errors import LedgerBroken, ReleaseError
from include.evidence.records import (
    Evidence,
    Lack,
    RecordFile,
    csv_file,
    day,
    finding,
    json_file,
    missing,
    sentences,
)
from include.evidence.scope import Scope
from include.release.approval import APPROVAL
from include.release.ledger import Entry, Ledger
from include.release.ledger.entries import DECIDING
from include.release.ledger.export import export_document
from include.release.ledger.traffic import traffic_of
from include.release.rollout.overrides import GATES
from include.verdict import Finding

LEDGER_FILE = "releases/ledger.json"
APPROVED, PROMOTED, REQUESTED = "approved", "promoted", "requested"
OVERRIDE, REPAIRED, VERDICT, BACK = "override", "repaired", "verdict", "rolled_back"


def releases(scope: Scope, moment: datetime) -> Iterator[Evidence]:
    """The kinds of evidence about releases."""
    yield _ledger(scope, moment)
    yield _approval(scope)
    yield _service(scope)
    yield _tried(scope)
    yield _pipeline(scope)
    yield _reviews(scope)


def _ledger(scope: Scope, moment: datetime) -> Evidence:
    deploy = f"flightdeck deploy {scope.use_case.name}"
    broken = scope.ledger.broken
    if broken is not None:
        return Evidence(
            "ledger",
            exists=False,
            lacks=(Lack("a release ledger that holds", "restore it: flightdeck restore"),),
            findings=(finding("ledger", broken.kind, str(broken), broken.row),),
        )
    try:
        document = export_document(Ledger(scope.settings), scope.use_case.name, moment)
    except (LedgerBroken, ReleaseError) as error:
        return missing("ledger", "a row of the release ledger", deploy, str(error))
    number = document["head"]["number"]
    repaired = [
        row
        for row in scope.ledger.entries
        if row.event == REPAIRED and scope.period.holds(row.recorded_at)
    ]
    findings = tuple(
        finding(
            "repaired",
            scope.use_case.name,
            f"Something was changed past Flightdeck and put back (row {row.number}: {row.reason}).",
            row.number,
        )
        for row in repaired
    )
    return Evidence(
        "ledger",
        exists=True,
        files=(
            RecordFile(
                LEDGER_FILE,
                json.dumps(document, indent=1).encode(),
                f"release ledger, rows 1 to {number}",
            ),
        ),
        facts=(f"All {number} rows hold; the head is of {document['head']['recorded_at'][:16]}.",),
        findings=findings,
    )


def _history(name: str, rows: Sequence[Entry]) -> RecordFile:
    columns = ("number", "recorded_at", "event", "version", "actor", "reason", "run")
    table = pl.DataFrame(
        [tuple(str(getattr(row, column)) for column in columns) for row in rows],
        schema=dict.fromkeys(columns, pl.String),
        orient="row",
    )
    numbers = sentences((str(row.number) for row in rows), 20)
    return csv_file(name, table, f"release ledger, rows {numbers or 'none'}")


def _approval(scope: Scope) -> Evidence:
    """Present where every promotion of the version was approved by somebody else, with a reason."""
    rows = scope.version_entries
    promoted = [row for row in rows if row.event == PROMOTED]
    approved = [
        row for row in rows if row.event == APPROVED and row.evidence.get("about") == APPROVAL
    ]
    runs = {(row.run, row.digest) for row in approved}
    without = [row for row in promoted if (row.run, row.digest) not in runs]
    policy = scope.use_case.release
    how = (
        f"flightdeck deploy {scope.use_case.name}, and approve it in Airflow"
        if policy.needs_approval
        else f"declare Release(approval='all', approvers=...) in use_cases/{scope.use_case.name}"
        "/spec.py"
    )
    findings = [*_own_approvals(rows, approved)]
    if policy.needs_approval:
        findings += [
            finding(
                "approval",
                scope.name,
                f"It was promoted without an approval that the policy asks for (row"
                f" {row.number} of the ledger, by {row.actor}).",
                row.number,
            )
            for row in without
        ]
    requests = [row for row in rows if row.evidence.get("about") == APPROVAL]
    if not approved:
        absent = missing("approval", "an approval by a named person", how)
        return Evidence(**{**absent.__dict__, "findings": tuple(findings)})
    lacks = tuple(
        Lack(f"an approval of the promotion in row {row.number} of the ledger", how)
        for row in without
    )
    return Evidence(
        "approval",
        exists=True,
        files=(_history("releases/approvals.csv", requests),),
        facts=tuple(
            f"{row.actor} approved on {day(row.recorded_at)}: {row.reason}" for row in approved
        ),
        lacks=lacks,
        findings=tuple(findings),
    )


def _own_approvals(rows: Sequence[Entry], approved: Sequence[Entry]) -> Iterator[Finding]:
    """Approvals by whoever asked for the release."""
    requesters_of = {row.run: row.actor for row in rows if row.event == REQUESTED}
    for row in approved:
        requesters = {*row.evidence.get("requesters", ()), requesters_of.get(row.run)}
        if row.actor in requesters:
            yield finding(
                "four_eyes",
                f"{row.use_case}/{row.version}",
                f"{row.actor} asked for the release and approved it (row {row.number} of the"
                " ledger).",
                row.actor,
            )


def _service(scope: Scope) -> Evidence:
    rows = scope.entries
    about_it = [row for row in rows if row.version == scope.version.version]
    shares = list(_shares(rows, scope.version.version))
    served = any(row.event == PROMOTED for row in about_it) or any(share for _, share in shares)
    if not served:
        return missing(
            "service",
            "a promotion of the version",
            f"flightdeck deploy {scope.use_case.name}",
        )
    return Evidence(
        "service",
        exists=True,
        files=(_history("releases/history.csv", rows),),
        facts=tuple(
            f"{'In service' if share else 'Out of service'} at {share:.3g} of the rows since"
            f" {day(row.recorded_at)}, by {row.actor} (row {row.number}): {row.reason}"
            for row, share in shares
        ),
        findings=tuple(_forced(scope, about_it)),
    )


def _shares(rows: Sequence[Entry], version: int) -> Iterator[tuple[Entry, float]]:
    """Each row that changed the version's share of the traffic, and that share since."""
    deciding = [row for row in rows if row.event in DECIDING]
    before = 0.0
    for place, row in enumerate(deciding):
        traffic = traffic_of(deciding[: place + 1])
        arms = () if traffic is None else traffic.arms
        share = sum(arm.share for arm in arms if arm.version == version)
        if share != before:
            yield row, share
        before = share


def _forced(scope: Scope, rows: Sequence[Entry]) -> Iterator[Finding]:
    """Overrides other than that of the gates, and rows that took the version back."""
    for row in rows:
        if row.event == OVERRIDE and row.evidence.get("about") != GATES:
            text = (
                f"{row.actor} let the release go on past its analysis (row {row.number} of the"
                f" ledger: {row.reason})."
            )
            yield finding("override", scope.name, text, row.number)
        if row.event == BACK and scope.period.holds(row.recorded_at):
            text = f"It was taken back (row {row.number} of the ledger: {row.reason})."
            yield finding("rolled_back", scope.name, text, row.number)


def _tried(scope: Scope) -> Evidence:
    rows = [row for row in scope.version_entries if row.event == VERDICT]
    if not rows:
        return missing(
            "tried",
            "a verdict on the version's live traffic before all of it",
            f"declare Release(strategy=Canary()) in use_cases/{scope.use_case.name}/spec.py",
        )
    document = [row.as_json() for row in rows]
    source = f"release ledger, rows {sentences((str(row.number) for row in rows), 20)}"
    return Evidence(
        "tried",
        exists=True,
        files=(json_file("releases/analysis.json", document, source),),
        facts=(f"{len(rows)} verdicts on live traffic.",),
    )


def _pipeline(scope: Scope) -> Evidence:
    """The deployments of the pipeline that trained the version."""
    commit = "" if scope.record is None else scope.record.code_commit
    rows = [row for row in Deployments(scope.settings).rows() if row.code_commit == commit]
    if not commit or not rows:
        return missing(
            "pipeline",
            f"a deployment of the pipeline at commit {commit[:12] or 'unknown'}",
            "flightdeck bundle build and flightdeck bundle deploy",
        )
    numbers = sentences(str(row.number) for row in rows)
    return Evidence(
        "pipeline",
        exists=True,
        files=(
            json_file(
                "releases/pipeline.json",
                [row.__dict__ for row in rows],
                f"table pipeline_deployments, rows {numbers}",
            ),
        ),
        facts=tuple(f"{row.event} by {row.actor}: {row.reason}" for row in rows),
    )


def _reviews(scope: Scope) -> Evidence:
    """Present where decisions of the version were reviewed by a person and none waits for its
    review.
    """
    name, rows = scope.use_case.name, scope.ledger.entries
    requests = [
        row
        for row in rows
        if row.event == REVIEW_REQUESTED
        and row.version == scope.version.version
        and scope.period.holds(row.recorded_at)
    ]
    written = [review for review in reviews(rows) if review.version == scope.version.version]
    asked_about = {row.evidence[PREDICTION_ID] for row in requests}
    answered = [review for review in written if review.prediction_id in asked_about]
    how = f"flightdeck decisions request {name} PREDICTION_ID, answered by a reviewer in Airflow"
    if not requests:
        return missing("reviews", "a decision that was contested and reviewed", how)
    open_ids = asked_about - {review.prediction_id for review in answered}
    decided = standing(answered)
    overturned = sum(review.outcome == "overturned" for review in decided)
    content = [review.as_json() for review in answered]
    numbers = sentences((str(review.number) for review in answered), 20)
    return Evidence(
        "reviews",
        exists=bool(answered),
        files=(
            json_file(
                "releases/reviews.json", content, f"release ledger, rows {numbers or 'none'}"
            ),
        ),
        facts=(f"Contested {len(asked_about)}, reviewed {len(decided)}, overturned {overturned}.",),
        lacks=(Lack(f"a review of {len(open_ids)} contested decisions", how),) if open_ids else (),
    )
