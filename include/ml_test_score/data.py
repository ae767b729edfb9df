"""Section II of the paper: tests for features and data."""

from __future__ import annotations

from datetime import timedelta

from include.ml_test_score.records import Records
from include.ml_test_score.rubric import Judgement, RubricTest, full, half, nothing

LEAST_SHARE = 0.001
"""Of all contributions: an input below it moves hardly any answer."""
QUICK = timedelta(days=30)
"""From the commit with a new input to the version in service: what the paper calls months is slow.
"""


def expectations_are_a_schema(records: Records) -> Judgement:
    """Every source table declares its columns, and the training set was held against them."""
    use_case, validation = records.use_case, records.validation
    columns = [column for table in use_case.tables for column in table.columns]
    if validation is None:
        return nothing("the run keeps no verdict on its training set (validation/validation.json)")
    bounded = [
        column
        for column in columns
        if column.categories or column.minimum is not None or column.maximum is not None
    ]
    numbers = [column.name for column in columns if column.type in ("number", "integer")]
    loose = sorted(set(numbers) - {column.name for column in bounded})
    shown = (
        (
            f"{len(columns)} columns of {len(use_case.tables)} tables have a type and a null share,"
            f" {len(bounded)} of them categories or bounds"
        ),
        f"training set {records.training.snapshot} was held against them and accepted",
    )
    if not validation.get("accepted", False):
        return nothing(f"the training set broke its rules: {validation.get('reasons')}", *shown[:1])
    return half(f"no bounds: {', '.join(loose)}", *shown) if loose else full(*shown)


def features_are_beneficial(records: Records) -> Judgement:
    """What each input contributes to the answers was measured, which is use and not yet benefit."""
    if not records.attributions:
        return nothing("the run has no attributions.json: what each input contributes is not known")
    shares = {str(row["input"]): float(row["share"]) for row in records.attributions}
    idle = sorted(name for name, share in shares.items() if share < LEAST_SHARE)
    least = min(shares, key=lambda name: shares[name])
    shown = f"{len(shares)} inputs contribute, the least {least} with {shares[least]:.1%}"
    if idle:
        return nothing(f"below {LEAST_SHARE:.1%} of all contributions: {', '.join(idle)}", shown)
    lacks = "no model without each of them was trained beside: contributions show use, not benefit"
    return half(lacks, shown)


def no_feature_costs_too_much(records: Records) -> Judgement:
    """Time, size and money of the answers are bounded; what one feature adds is not measured."""
    measured = list(records.gate("latency"))
    costs = [row for row in records.checked("efficiency") if row["rule"] == "cost_per_thousand"]
    shown = [f"{row['metric']} {row['observed']:.3g} of {row['threshold']:g}" for row in measured]
    if costs:
        shown.append(f"a thousand answers cost {costs[-1]['observed']:.3g}")
    if not shown:
        return nothing("no gate measured how long an answer takes")
    lacks = "the cost of the answer is bounded as a whole, that of a single feature is not measured"
    return half(lacks, "; ".join(shown))


def features_adhere_to_requirements(records: Records) -> Judgement:
    """Inputs that must not be used are declared, and a gate holds the model to it."""
    forbidden = [row for row in records.gate("attribution") if row["metric"] == "forbidden_share"]
    leaking = records.validation is not None and bool(records.validation.get("accepted"))
    shown = ["the training set passed the rules on leakage"] if leaking else []
    if not forbidden:
        lacks = "no input is declared as forbidden (Gates.forbidden_inputs), so none is refused"
        return half(lacks, *shown) if shown else nothing(lacks)
    names = ", ".join(str(row["slice"]) for row in forbidden)
    return full(*shown, f"the gate `attribution` bounds the share of: {names}")


def privacy_is_controlled(records: Records) -> Judgement:
    """Who may see the data is declared, what is logged of people is hidden, and is deleted."""
    use_case = records.use_case
    sensitivity = use_case.data_set.sensitivity
    marked = [
        name
        for name in (use_case.id_column, *use_case.serving.entity_keys)
        if use_case.privacy(name) != "clear"
    ]
    fields = [item.name for item in use_case.serving.request_fields]
    marked += [name for name in fields if use_case.privacy(name) != "clear"]
    days = use_case.serving.log_days
    shown = [f"the data set is declared {sensitivity}"]
    if marked:
        shown.append(f"hashed or left out of the log: {', '.join(sorted(marked))}")
    if days is not None:
        shown.append(f"logged answers are deleted after {days} days")
    if sensitivity == "public":
        return half("that it is public stands there because its owner wrote it", *shown)
    lacks = [
        *([] if marked else ["no column that is logged is hashed or dropped (Column.privacy)"]),
        *([] if days is not None else ["the log is kept for ever (Serving.log_days)"]),
    ]
    if lacks:
        return nothing("; ".join(lacks), *shown)
    return full(*shown)


def features_are_added_quickly(records: Records) -> Judgement:
    """From the commit with another set of inputs to that version in service."""
    if not records.former:
        return nothing("it is the first version: no feature has been added to one in service")
    versions = [training.version for training in records.former]
    before = records.former_inputs.get(versions[-1] or 0, frozenset())
    added = sorted({item.name for item in records.use_case.inputs} - before)
    if not before or not added:
        return nothing(
            "no input was added since the version before, so that how long it takes is not measured"
        )
    if records.review is None or records.promoted_at is None:
        return nothing(
            "when the commit was made, or when the version went into service, is not known",
            f"added: {', '.join(added)}",
        )
    took = records.promoted_at - records.review.committed_at
    shown = f"{', '.join(added)}: in service {_days(took)} after the commit"
    return full(shown) if took <= QUICK else half(f"more than {QUICK.days} days", shown)


def feature_code_is_tested(records: Records) -> Judgement:
    """The tests of features ran on the commit that trained it, and passed."""
    return tests_that_ran(records, ("feature",), "the features' code")


def tests_that_ran(records: Records, words: tuple[str, ...], what: str) -> Judgement:
    """A whole point where tests with one of `words` in their name passed on the very commit."""
    runs = records.tests_of_commit()
    if not runs:
        return nothing(
            f"no run of the tests of commit {records.training.commit[:12]} is on record: put the"
            " JUnit files of CI into <home>/tests"
        )
    failed = [name for run in runs for name in run.failed if _about(name, words)]
    passed = {name for run in runs for name in run.passed if _about(name, words)}
    if failed:
        return nothing(f"{len(failed)} tests failed, {failed[0]} among them")
    if not passed:
        return nothing(f"none of the {sum(len(run.passed) for run in runs)} tests is about {what}")
    return full(f"{len(passed)} tests of {what} passed on commit {records.training.commit[:12]}")


def _about(name: str, words: tuple[str, ...]) -> bool:
    return any(word in name.lower() for word in words)


def _days(took: timedelta) -> str:
    return f"{took.total_seconds() / 86400:.1f} days"


DATA_TESTS = (
    RubricTest(
        "data", 1, "Feature expectations are captured in a schema", expectations_are_a_schema
    ),
    RubricTest("data", 2, "All features are beneficial", features_are_beneficial),
    RubricTest("data", 3, "No feature's cost is too much", no_feature_costs_too_much),
    RubricTest(
        "data", 4, "Features adhere to meta-level requirements", features_adhere_to_requirements
    ),
    RubricTest(
        "data", 5, "The data pipeline has appropriate privacy controls", privacy_is_controlled
    ),
    RubricTest("data", 6, "New features can be added quickly", features_are_added_quickly),
    RubricTest("data", 7, "All input feature code is tested", feature_code_is_tested),
)
