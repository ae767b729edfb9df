"""Section IV of the paper: tests for the infrastructure that trains and serves."""

from __future__ import annotations

from include.ml_test_score.data import tests_that_ran
from include.ml_test_score.records import Records, is_passed
from include.ml_test_score.rubric import Judgement, RubricTest, full, half, nothing

PROVEN = ("identical", "within tolerance")
REPRODUCED_AGAIN = 2
"""Versions that were trained again: one is an occasion, two are a habit."""
INTEGRATION = ("integration", "test_loop", "pipeline")


def training_is_reproducible(records: Records) -> Judgement:
    """It was trained again from its record, and the same model came out."""
    again = f"flightdeck reproduce {records.use_case.name} {records.version}"
    outcome = records.reproduced.get(records.version)
    if outcome is None:
        return nothing(f"it was not trained again: `{again}`")
    if outcome not in PROVEN:
        return nothing(f"trained again, the outcome was: {outcome}")
    proven = sorted(version for version, what in records.reproduced.items() if what in PROVEN)
    shown = f"trained again from its record: {outcome}"
    if len(proven) < REPRODUCED_AGAIN:
        return half("no other version was: let a job run it for each", shown)
    return full(shown, f"as were {len(proven)} versions of it")


def specification_is_unit_tested(records: Records) -> Judgement:
    """Tests that name the use case passed on the commit that trained it."""
    return tests_that_ran(records, (records.use_case.name,), f"{records.use_case.name}")


def pipeline_is_integration_tested(records: Records) -> Judgement:
    """The commit's bundle ran end to end in an environment, or its integration tests passed."""
    if records.pipelines:
        newest = records.pipelines[-1]
        return full(
            f"bundle {newest.version[:12]} of that commit ran end to end before it was deployed in"
            f" {newest.environment} at {newest.at}"
        )
    tested = tests_that_ran(records, INTEGRATION, "the whole pipeline")
    if tested.points:
        return tested
    return nothing(
        "no bundle of the commit that trained it was deployed by `flightdeck bundle deploy`, which"
        f" runs it end to end first; {tested.lacks}"
    )


def quality_is_validated_before_serving(records: Records) -> Judgement:
    """Its gates accepted it before the ledger let anything of the traffic go to it."""
    if not records.gates:
        return nothing("the run keeps no verdict of the gates (gates.json)")
    forced = records.events("override")
    shown = f"{len(records.gates)} checks of {len({row['gate'] for row in records.gates})} gates"
    if is_passed(records.gates):
        return full(f"{shown} accepted it as version {records.version}")
    refused = sorted({str(row["gate"]) for row in records.gates if not row["passed"]})
    why = f"refused by {', '.join(refused)}"
    if forced:
        return nothing(f"{why}, and let through by {forced[-1].actor}: {forced[-1].reason}", shown)
    return full(f"{shown} judged it and did not let it serve: {why}")


def one_example_can_be_debugged(records: Records) -> Judgement:
    """What made the answers of single rows is on record, input by input."""
    if not records.explained:
        return nothing("the run has no attribution_rows.json: no single answer is taken apart")
    return full(
        f"{records.explained} contributions to the answers of single rows (attribution_rows.json)"
    )


def models_are_tested_by_canary(records: Records) -> Judgement:
    """It answered a part of the traffic first, and an analysis decided about the rest."""
    stages, verdicts = records.events("traffic"), records.events("verdict")
    if not records.events("traffic", "promoted", "rolled_back"):
        return nothing("it was never released")
    if not verdicts:
        before = [row for row in records.ledger if row.event == "promoted"]
        if before and before[0].version == records.version:
            lacks = "it is the first version: there was none to compare it with on live traffic"
            return half(lacks, "the endpoint checked its package before it took it")
        return nothing("it was released without a stage that compared it with the version before")
    shares = sorted({float(row.evidence.get("share", 0.0)) for row in stages})
    parts = ", ".join(f"{share:.0%}" for share in shares)
    return full(f"{len(verdicts)} verdicts on live traffic, at {parts}: {verdicts[-1].reason}")


def models_can_be_rolled_back(records: Records) -> Judgement:
    """Traffic was given back to a version before, by the analysis or by a person."""
    rows = [row for row in records.ledger if row.event == "rolled_back"]
    if not rows:
        return nothing(
            "nothing was ever rolled back, so that nobody knows whether it works:"
            f" `flightdeck rollback {records.use_case.name}` in an environment before production"
        )
    automatic = [row for row in rows if row.run is not None]
    newest = (automatic or rows)[-1]
    shown = (
        f"version {newest.version} was taken back at {newest.recorded_at:%Y-%m-%d %H:%M} by"
        f" {newest.actor}: {newest.reason}"
    )
    return full(shown) if automatic else half("only by hand so far", shown)


INFRASTRUCTURE_TESTS = (
    RubricTest("infrastructure", 1, "Training is reproducible", training_is_reproducible),
    RubricTest(
        "infrastructure", 2, "Model specification code is unit tested", specification_is_unit_tested
    ),
    RubricTest(
        "infrastructure",
        3,
        "The full ML pipeline is integration tested",
        pipeline_is_integration_tested,
    ),
    RubricTest(
        "infrastructure",
        4,
        "Model quality is validated before attempting to serve it",
        quality_is_validated_before_serving,
    ),
    RubricTest(
        "infrastructure",
        5,
        "The model allows debugging by observing the step-by-step computation of a single example",
        one_example_can_be_debugged,
    ),
    RubricTest(
        "infrastructure",
        6,
        "Models are tested via a canary process before they enter production serving",
        models_are_tested_by_canary,
    ),
    RubricTest(
        "infrastructure",
        7,
        "Models can be quickly and safely rolled back to a previous serving version",
        models_can_be_rolled_back,
    ),
)
