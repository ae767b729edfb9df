"""Section V of the paper: tests of what serves."""

from __future__ import annotations

from statistics import median

from include.ml_test_score.records import Records
from include.ml_test_score.rubric import Judgement, RubricTest, full, half, nothing

INVARIANTS = ("schema_skew", "distribution")
STABILITY = ("perturbation", "missing_values")
UNMONITORED = "no window that it scored was monitored yet"
SLOWER = 2.0
"""Times the median of the trainings before: a machine that is busy explains less."""


def dependency_changes_notify(records: Records) -> Judgement:
    """Faults of the data that others deliver raise an alarm, and the alarm reaches somebody."""
    watched = records.checked("schema_skew")
    sent = [place for place in records.sent if place.notices]
    shown = [
        *([f"{len(watched)} findings on the shape of served data"] if watched else []),
        *(f"{place.notices} notices went to {place.name}" for place in sent),
    ]
    if watched and sent:
        return full(*shown)
    lacks = [
        *([] if watched else [UNMONITORED]),
        *([] if sent else ["alarms were sent to nobody (`flightdeck alarms sinks`)"]),
    ]
    return half("; ".join(lacks), *shown) if shown else nothing("; ".join(lacks))


def invariants_hold(records: Records) -> Judgement:
    """The training set passed its rules, and so do the inputs that are served."""
    trained = records.validation is not None and bool(records.validation.get("accepted"))
    served = records.checked(*INVARIANTS)
    shown = ["the training set passed its rules"] if trained else []
    if not served:
        return half(UNMONITORED, *shown) if shown else nothing(UNMONITORED)
    broken = [row for row in served if row["outcome"] == "refused"]
    shown.append(
        f"{len(served)} findings on served inputs, {len(broken)} of them beyond their limits"
        f" ({', '.join(INVARIANTS)})"
    )
    return full(*shown) if trained else half("no verdict on the training set is kept", *shown)


def features_are_the_same_online(records: Records) -> Judgement:
    """Answers given online were computed again offline, row by row."""
    if not records.parity:
        return nothing("no answer of the endpoint was computed again from the offline store yet")
    largest = max(records.parity)
    return full(
        f"in {len(records.parity)} windows the largest difference between an answer and the same"
        f" one computed offline is {largest:.2g}"
    )


def models_are_not_too_stale(records: Records) -> Judgement:
    """Its data is no older than what retraining allows, and what starts a training is watched."""
    age, open_alarms = records.age, [item for item in records.alarms if item.is_open]
    if age is None:
        return nothing(UNMONITORED)
    stale = [item for item in open_alarms if item.key.kind in ("performance", "drift")]
    shown = f"its data ends {age.days} days before the newest window that it scored"
    if stale:
        return half(
            f"an alarm is open since {stale[0].opened_at:%Y-%m-%d}: {stale[0].reason}", shown
        )
    kinds = sorted({kind for training in records.former for kind in training.kinds})
    if not kinds:
        return half("nothing has started another training of it yet", shown)
    return full(shown, f"trainings before it were started by: {', '.join(kinds)}")


def model_is_numerically_stable(records: Records) -> Judgement:
    """Small changes and missing values of inputs move the answers little."""
    rows = records.gate(*STABILITY)
    judged = {str(row["gate"]) for row in rows}
    if not judged:
        return nothing(f"no gate judged it ({', '.join(STABILITY)})")
    refused = sorted({str(row["gate"]) for row in rows if not row["passed"]})
    shown = f"{len(rows)} comparisons of the gates {', '.join(sorted(judged))}"
    if refused:
        return half(f"refused by {', '.join(refused)}", shown)
    missing = sorted(set(STABILITY) - judged)
    return half(f"not judged: {', '.join(missing)}", shown) if missing else full(shown)


def computing_has_not_regressed(records: Records) -> Judgement:
    """The time of trainings and the endpoint's latency, throughput and memory, beside before."""
    shown, lacks = [], []
    seconds = records.seconds.get(records.version)
    before = [took for version, took in records.seconds.items() if version < records.version]
    if seconds is not None and before:
        usual = median(before)
        shown.append(f"trained in {seconds:.0f} s, {usual:.0f} s in the median of those before")
        if seconds > SLOWER * usual:
            lacks.append(f"it took more than {SLOWER:g} times as long to train")
    else:
        lacks.append("no training before it to compare the time with")
    served = records.checked("efficiency")
    if served:
        refused = [row for row in served if row["outcome"] == "refused"]
        rules = sorted({str(row["rule"]) for row in served})
        shown.append(f"the endpoint, {len(served)} findings: {', '.join(rules)}")
        lacks += [f"{row['rule']} alarmed" for row in refused[:1]]
    else:
        lacks.append("nothing was measured of the endpoint in a window that it scored")
    if not shown:
        return nothing("; ".join(lacks))
    return half("; ".join(lacks), *shown) if lacks else full(*shown)


def quality_has_not_regressed(records: Records) -> Judgement:
    """Answers were held against what came true, and a loss raises an alarm."""
    windows = records.own_windows
    if not windows:
        return nothing(UNMONITORED)
    labelled = [window for window in windows if window.metric is not None]
    if not labelled:
        shown = f"{len(windows)} windows have an estimate without labels"
        if all(window.estimated is None for window in windows):
            return nothing("no window that it scored has labels or an estimate")
        return half("no labels have come", shown)
    newest = labelled[-1]
    value = newest.metric.value if newest.metric is not None else float("nan")
    shown = f"{len(labelled)} windows with labels, the newest {value:.3g}"
    if newest.before is not None:
        shown += f" where its test split had {newest.before:.3g}"
    alarmed = sum(window.alarm for window in labelled)
    return full(f"{shown}; {alarmed} of them alarmed")


MONITORING_TESTS = (
    RubricTest(
        "monitoring", 1, "Dependency changes result in notification", dependency_changes_notify
    ),
    RubricTest(
        "monitoring",
        2,
        "Data invariants hold in training and serving inputs",
        invariants_hold,
    ),
    RubricTest(
        "monitoring",
        3,
        "Training and serving features compute the same values",
        features_are_the_same_online,
    ),
    RubricTest("monitoring", 4, "Models are not too stale", models_are_not_too_stale),
    RubricTest("monitoring", 5, "The model is numerically stable", model_is_numerically_stable),
    RubricTest(
        "monitoring",
        6,
        "The model has not experienced a dramatic or slow-leak regression in training speed,"
        " serving latency, throughput, or RAM usage",
        computing_has_not_regressed,
    ),
    RubricTest(
        "monitoring",
        7,
        "The model has not experienced a regression in prediction quality on served data",
        quality_has_not_regressed,
    ),
)
