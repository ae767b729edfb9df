"""What cannot be is refused when it is declared, with field, value, what is valid, and what was
probably meant.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.errors import SpecError
from include.spec import (
    Column,
    DataChecks,
    DataSet,
    Direction,
    FeatureTable,
    Golden,
    Input,
    Monitoring,
    RequestField,
    Schedule,
    Serving,
    Slice,
    Table,
    Training,
    UseCase,
)
from include.spec.base import RECORDED
from include.spec.estimators import DART, PARAMETERS
from tests.unit.model.synthetic import DELIVERIES, PARCELS, USE_CASE
from tests.unit.problems.problem_cases import use_case

MISSPELT, TYPELESS = {"name": "a", "typ": "string"}, {"name": "a"}
BY_PSI = {"feature_psi": 0.25}
DAY = datetime(2020, 1, 1, tzinfo=UTC)
FIELDS = {name: getattr(USE_CASE, name) for name in UseCase.model_fields}


def declared(**changes: Any) -> UseCase:
    return UseCase(**{**FIELDS, **changes})


def table(name: str = "raw/x", **changes: Any) -> Table:
    columns = (Column(name="id", type="string"), Column(name="at", type="timestamp"))
    fields = {"key": ("id",), "time_column": "at", "columns": columns}
    return Table(name=name, **{**fields, **changes})


def training(**changes: Any) -> Training:
    fields = USE_CASE.training.model_dump()
    return Training(**{**fields, "search_space": {}, "log_scale": (), **changes})


def with_column(name: str, kind: str) -> tuple[Table, ...]:
    """The tables with another type of one column of the parcels."""
    columns = [
        Column(name=name, type=kind) if column.name == name else column
        for column in PARCELS.columns
    ]
    return PARCELS.model_copy(update={"columns": tuple(columns)}), DELIVERIES


PARTS = {
    "misspelt field": (
        lambda: Column(**MISSPELT),
        r"Column has no field 'typ'; did you mean 'type'\? valid: \[.*'name'",
    ),
    "misspelt value": (
        lambda: Column(name="a", type="strin"),
        r"Column.type is 'strin'; did you mean 'string'\? valid: .*'boolean'",
    ),
    "missing field": (lambda: Column(**TYPELESS), "Column.type is missing and has no default"),
    "minimum above maximum": (
        lambda: Column(name="a", type="number", minimum=9, maximum=1),
        "column 'a': minimum is 9, above the maximum 1",
    ),
    "bounds of a text": (
        lambda: Column(name="a", type="string", minimum=1),
        "'a': minimum bound numbers, and its type is 'string'",
    ),
    "categories of a number": (
        lambda: Column(name="a", type="number", categories=("1",)),
        "categories are texts, and its type is 'number'",
    ),
    "direction's bounds": (
        lambda: Direction(input="a", change=1, expect="not_lower", minimum=2, maximum=1),
        "direction of 'a': minimum is 2, above the maximum 1",
    ),
    "drift by PSI": (
        lambda: Monitoring(**BY_PSI),
        r"feature_psi is 0\.25; .* whose limit is a Hellinger distance: write drift_effect=0\.177",
    ),
    "drift below what counts as moved": (
        lambda: Monitoring(drift_effect=0.01),
        "drift_effect is 0.01, below minimum_effect 0.02; what has not moved cannot drift",
    ),
    "more windows than there are": (
        lambda: Monitoring(persistent_windows=4),
        "persistent_windows is 4, above sliding_windows 3",
    ),
    "label shares": (
        lambda: DataChecks(min_label_share=0.6, max_label_share=0.5),
        "min_label_share is 0.6, above max_label_share 0.5",
    ),
    "no rows": (lambda: table(minimum_rows=0), "minimum_rows is 0; a window without rows"),
    "column twice": (
        lambda: table(columns=(*table().columns, Column(name="at", type="timestamp"))),
        r"table 'raw/x': columns declares \['at'\] twice",
    ),
    "columns in two cases": (
        lambda: table(columns=(*table().columns, Column(name="At", type="string"))),
        "'at' and 'At', which differ only in upper and lower case",
    ),
    "time column": (
        lambda: table(time_column="id"),
        "time_column 'id' is of type 'string'.*must be a 'timestamp'",
    ),
    "moment that a row speaks of": (
        lambda: table(happens_at="id"),
        "happens_at 'id' is of type 'string'.*must be a 'timestamp'",
    ),
    "moment of a static table": (
        lambda: table(time_column=None, happens_at="at"),
        "happens_at is 'at', and time_column, when a row became known, is None",
    ),
    "misspelt moment": (
        lambda: table(happens_at="att"),
        "natural_key, time_column or happens_at names 'att'.*did you mean 'at'",
    ),
    "natural key that holds the key": (
        lambda: table(natural_key=("at", "id")),
        r"natural_key \['at', 'id'\] holds the key \['id'\]",
    ),
    "known before": (
        lambda: table(happens_at="at", known_after=timedelta(minutes=-1)),
        "known_after",
    ),
    "time zone": (
        lambda: Input(name="h", source="at", kind="local_hour", timezone="America/New_Yrk"),
        "timezone is 'America/New_Yrk'; did you mean 'America/New_York'",
    ),
    "bad cron": (
        lambda: Schedule(start=DAY, monitoring_cron="61 * * * *"),
        r"monitoring_cron is '61 \* \* \* \*'; valid are five fields",
    ),
    "misspelt preset": (
        lambda: Schedule(start=DAY, training_cron="@montly"),
        "training_cron is '@montly'; did you mean '@monthly'",
    ),
    "six fields": (lambda: Schedule(start=DAY, features_cron="0 0 0 * * *"), "five fields"),
    "end before start": (
        lambda: Schedule(start=DAY, end=datetime(2019, 1, 1, tzinfo=UTC)),
        "end is 2019-01-01.*, not after start 2020-01-01",
    ),
    "no tick": (
        lambda: Schedule(start=datetime(2020, 1, 15, tzinfo=UTC), features_cron="@monthly"),
        "start is 2020-01-15.*no tick of features_cron '@monthly'.*2020-01-01.* or 2020-02-01",
    ),
    "bounds of a search": (
        lambda: training(search_space={"max_depth": (8, 4)}),
        r"search_space of 'max_depth' is \(8, 4\); the low bound must lie below",
    ),
    "logarithm of 0": (
        lambda: training(search_space={"eta": (0, 1)}, log_scale=("eta",)),
        "a logarithmic scale begins above 0",
    ),
    "endless search": (
        lambda: training(search_space={"eta": (0.1, float("inf"))}),
        "both bounds must be finite",
    ),
    "misspelt log scale": (
        lambda: training(search_space={"eta": (0.1, 1)}, log_scale=("etta",)),
        "log_scale names 'etta', which is not searched; did you mean 'eta'",
    ),
    "key sent twice": (
        lambda: Serving(
            entity_keys=("depot",), request_fields=(RequestField(name="depot", type="string"),)
        ),
        r"declares \['depot'\] twice",
    ),
}


@pytest.mark.parametrize(("made", "text"), PARTS.values(), ids=PARTS)
def test_a_part_that_cannot_be_is_refused(made, text):
    with pytest.raises(SpecError, match=text):
        made()


def feature_table(**changes: Any) -> FeatureTable:
    return FeatureTable(**{"view": "depot_daily", "table": "features/depot_daily", **changes})


WHOLE: dict[str, tuple[dict[str, Any], str]] = {
    "table twice": (
        {"tables": (PARCELS, DELIVERIES, DELIVERIES)},
        r"tables declares \['raw/deliveries'\] twice",
    ),
    "table and features": (
        {"feature_tables": (feature_table(table="raw/parcels"),)},
        r"declares \['raw/parcels'\] twice",
    ),
    "two files of one name": (
        {"tables": (PARCELS, DELIVERIES, table("raw/a_b"), table("raw_a/b"))},
        "'raw/a_b' and 'raw_a/b' are both written 'raw_a_b'",
    ),
    "view twice": (
        {"feature_tables": (feature_table(), feature_table(table="features/other"))},
        r"views declares \['depot_daily'\] twice",
    ),
    "kind against type": (
        {"inputs": (Input(name="pickup", source="pickup"), *USE_CASE.inputs)},
        r"kind is 'number', .*'pickup' holds timestamp; valid for it: \['hours_between'",
    ),
    "event time": (
        {"tables": with_column("asked_at", "string"), "schedule": USE_CASE.schedule},
        "data_set.event_time is 'asked_at', which table 'raw/parcels' declares as 'string'",
    ),
    "request field": (
        {"serving": Serving(entity_keys=("depot",), request_fields=(
            RequestField(name="pickup", type="string"),))},
        "'pickup' is 'string', and table 'raw/parcels' declares 'timestamp'",
    ),
    "no such baseline": (
        {"baseline_input": "laod"},
        r"baseline_input .*'laod'.*did you mean 'load'",
    ),
    "misspelt parameter": (
        {"training": training(parameters={"max_dpth": 3})},
        "parameters sets 'max_dpth', which XGBoost does not know; did you mean 'max_depth'",
    ),
    "misspelt searched parameter": (
        {"training": training(search_space={"max_dpth": (3, 5)})},
        "training.search_space sets 'max_dpth'.*did you mean 'max_depth'",
    ),
    "rounds": (
        {"training": training(parameters={"n_estimators": 3})},
        "'n_estimators', which is declared as training.boost_rounds",
    ),
    "sign that XGBoost refuses": (
        {"inputs": (*USE_CASE.inputs, Input(name="load<5", source="depot_daily:load"))},
        "the name 'load<5' holds <, which XGBoost takes in no feature's name",
    ),
    "two features of one column": (
        {
            "feature_tables": (feature_table(), feature_table(view="a__b", table="features/ab"),
                               feature_table(view="a", table="features/a")),
            "inputs": (*USE_CASE.inputs, Input(name="x", source="a:b__c"),
                       Input(name="y", source="a__b:c")),
        },
        "'a:b__c' and 'a__b:c' are both written 'a__b__c'",
    ),
    "golden set before all data": (
        {"data_set": DataSet(**{**USE_CASE.data_set.model_dump(), "golden": Golden(until=DAY)})},
        "data_set.golden.until is 2020-01-01.*not after schedule.start",
    ),
    "slice twice": ({"slices": (Slice(column="depot"), Slice(column="depot"))}, "twice"),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "text"), WHOLE.values(), ids=WHOLE)
def test_what_declarations_say_about_each_other_must_agree(changes, text):
    if "tables" in changes and changes["tables"][0].columns != PARCELS.columns:
        changes = {**changes, "tables": (_untimed(changes["tables"][0]), DELIVERIES)}
    with pytest.raises(SpecError, match=text):
        declared(**changes)


def _untimed(parcels: Table) -> Table:
    return parcels.model_copy(update={"time_column": None})


REGRESSION = {
    "problem": ("max_slice_bias", 5.0),
    "monitoring": ("max_bias", 5.0),
    "gates": ("max_slice_loss_increase", 1.5),
}


@pytest.mark.parametrize("part", REGRESSION)
def test_a_limit_in_the_labels_unit_where_a_share_is_meant_is_refused(part):
    case = use_case("regression")
    field, value = REGRESSION[part]
    changed = getattr(case, part).model_copy(update={field: value})
    fields = {name: getattr(case, name) for name in UseCase.model_fields}
    with pytest.raises(SpecError, match=rf"{part}.{field} is {value:g}.*not in the label's unit"):
        UseCase(**{**fields, part: changed})


def test_xgboost_uses_every_parameter_that_may_be_declared_and_says_so_of_no_other():
    import numpy as np
    import xgboost

    values = {"booster": "gbtree", "grow_policy": "depthwise", "interaction_constraints": "[[0]]"}
    values |= {"multi_strategy": "one_output_per_tree", "process_type": "default", "max_bin": 16}
    values |= {"sampling_method": "uniform", "tree_method": "hist", "verbosity": 1}
    values |= {"normalize_type": "tree", "sample_type": "uniform"}
    matrix = xgboost.DMatrix(np.random.default_rng(1).random((20, 2)), label=np.arange(20) % 2)

    def unused(*names: str, **more: Any) -> str:
        parameters = {name: values.get(name, 1) for name in names}
        with pytest.warns(UserWarning, match="are not used") as caught:
            xgboost.train(
                {**parameters, **more, "max_dpth": 1, "verbosity": 1}, matrix, num_boost_round=1
            )
        return str([warning.message for warning in caught])

    # Of an updater XGBoost warns instead that it takes the place of the tree method.
    for name in set(PARAMETERS) - {"updater"}:
        assert f'"{name}"' not in unused(name)
    assert not [name for name in DART if f'"{name}"' in unused(*DART, booster="dart")]


def test_the_specification_of_an_earlier_training_stays_readable():
    shares = {"min_label_share": 0.9, "max_label_share": 0.2}
    old = USE_CASE.model_dump()
    old["data_checks"] |= shares
    with pytest.raises(ValueError, match="min_label_share"):
        UseCase.model_validate(old)
    assert UseCase.model_validate(old, context=RECORDED).data_checks.min_label_share == 0.9


def drift_alarm(cron: str, **changes: Any) -> UseCase:
    monitoring = Monitoring(alarm_on=("drift",), **changes)
    schedule = USE_CASE.schedule.model_copy(update={"monitoring_cron": cron})
    return declared(monitoring=monitoring, schedule=schedule)


def test_an_alarm_on_drift_that_could_never_be_judged_is_refused_and_says_what_to_declare():
    with pytest.raises(SpecError, match=r"3 windows of 1:00:00 hold 1 blocks of 1 day.*block"):
        drift_alarm("@hourly")
    assert drift_alarm("@hourly", block=None)
    assert drift_alarm("@hourly", block=timedelta(minutes=30))
    assert drift_alarm("@monthly")


def test_the_file_and_the_line_of_the_field_are_named(tmp_path):
    source = """from include.spec import Column, Table

COLUMNS = (
    Column(
        name="id",
        type="string",
    ),
    Column(name="at", type="timestamp"),
    Column(name="AT", type="timestamp"),
)
TABLE = Table(
    name="raw/x",
    key=("id",),
    time_column="at",
    minimum_rows="many",
    columns=COLUMNS,
)
"""
    path = tmp_path / "spec.py"

    def refused(text: str) -> str:
        path.write_text(text)
        with pytest.raises(SpecError) as caught:
            exec(compile(text, str(path), "exec"), {})  # a file of its own
        return str(caught.value)

    assert refused(source).startswith(f"{path}:15: Table.minimum_rows is 'many': ")
    other = source.replace('minimum_rows="many"', "minimum_rows=5")
    assert refused(other).startswith(f"{path}:9: Table: table 'raw/x': columns declares 'at'")
    misspelt = source.replace("        type=", "        typ=")
    assert refused(misspelt).startswith(f"{path}:4: Column has no field 'typ'")
