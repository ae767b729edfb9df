"""What only an import can tell of a declaration is told with file, field, value, what is valid."""

from __future__ import annotations

import re
import subprocess
import time

import pytest

from cli.application import invoke
from include.errors import SpecError
from include.processes import declarations
from include.settings import load_settings
from include.spec import (
    FeatureTable,
    FunctionSource,
    Input,
    RowRule,
    ScikitLearn,
    Training,
    UseCase,
)
from include.use_cases.flight_delays.spec import USE_CASE

FILE = "include/use_cases/flight_delays/spec.py"


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return load_settings({"FLIGHTDECK_HOME": str(tmp_path_factory.mktemp("home"))})


def changed(**fields: object) -> UseCase:
    return USE_CASE.model_copy(update=fields)


def with_input(**fields: object) -> UseCase:
    last = USE_CASE.inputs[-1].model_copy(update=fields)
    return changed(inputs=(*USE_CASE.inputs[:-1], last))


def with_row_rule(**fields: object) -> UseCase:
    first = USE_CASE.tables[0].model_copy(update={"row_rules": (RowRule(name="far", **fields),)})
    return changed(tables=(first, *USE_CASE.tables[1:]))


def sklearn(**fields: object) -> UseCase:
    estimator = ScikitLearn(path="sklearn.linear_model.LogisticRegression")
    values = {"window_days": 90, "estimator": estimator, **fields}
    return changed(training=Training(**values))


def with_source(**fields: object) -> UseCase:
    source = FunctionSource(**{"function": "read_source", **fields})
    first = USE_CASE.tables[0].model_copy(update={"source": source})
    return changed(tables=(first, *USE_CASE.tables[1:]))


def with_source_in(**fields: object) -> UseCase:
    source = FunctionSource(**{"function": "read_source", **fields})
    first = USE_CASE.tables[0].model_copy(update={"source_in": {"staging": source}})
    return changed(tables=(first, *USE_CASE.tables[1:]))


CASES = {
    "condition of a source": (
        lambda: with_source(where="asked_at IS (("),
        r"table 'raw/flights': source\.where is 'asked_at IS \(\(', which is no condition in SQL",
    ),
    "condition of an environment's own source": (
        lambda: with_source_in(where="asked_at IS (("),
        r"table 'raw/flights': source_in\['staging'\]\.where is 'asked_at IS \(\(', which is no",
    ),
    "function of an environment's own source": (
        lambda: with_source_in(function="read_source_"),
        r"data\.py must define the functions \['read_source_'\]; did you mean 'read_source'",
    ),
    "function of a source that data.py lacks": (
        lambda: with_source(function="read_source_"),
        r"data\.py must define the functions \['read_source_'\]; did you mean 'read_source'",
    ),
    "feature that the view lacks": (
        lambda: with_input(source="plane:seat"),
        "source is 'plane:seat'.*no feature 'seat'; did you mean 'seats'.*valid",
    ),
    "feature service that Feast lacks": (
        lambda: changed(feature_service="flight_delay_v1"),
        "feature_service is 'flight_delay_v1'.*did you mean 'flight_delays_v1'",
    ),
    "view that Feast lacks": (
        lambda: changed(
            feature_tables=(
                *USE_CASE.feature_tables,
                FeatureTable(view="plan", table="features/plan"),
            )
        ),
        "feature_tables: view is 'plan'; did you mean 'plane'",
    ),
    "inputs that the service does not offer": (
        lambda: changed(inputs=USE_CASE.inputs[:-1]),
        r"only the service \['plane:seats'\]",
    ),
    "kind against the feature's type": (
        lambda: with_input(kind="category"),
        "kind is 'category', which reads string, and 'plane:seats' holds number",
    ),
    "key that nobody sends": (
        lambda: changed(
            serving=USE_CASE.serving.model_copy(
                update={"entity_keys": ("carrier", "origin", "dest")}
            )
        ),
        "serving.entity_keys lack 'tailnum', by which the view 'plane' is looked up",
    ),
    "parameter of scikit-learn": (
        lambda: sklearn(parameters={"max_itr": 3}),
        r"no parameters \['max_itr'\].*did you mean 'max_iter'",
    ),
    "searched parameter of scikit-learn": (
        lambda: sklearn(search_space={"CC": (0.1, 1.0)}),
        r"no parameters \['CC'\]",
    ),
    "class of scikit-learn": (
        lambda: sklearn(estimator=ScikitLearn(path="sklearn.linear_model.LogisticRegresion")),
        "is no estimator; .*did you mean 'LogisticRegression'",
    ),
    "condition of a row rule": (
        lambda: with_row_rule(columns=("distance",), holds="distence > 10"),
        r"row rule 'far': 'distence > 10' reads \['distence'\], but columns declares",
    ),
    "condition across tables": (
        lambda: changed(
            cross_table_rules=(
                USE_CASE.cross_table_rules[0].model_copy(
                    update={"holds": "arrivals.known > flights.asked_at"}
                ),
            )
        ),
        r"no condition in SQL over \['arrivals', 'flights'\].*known",
    ),
    "value of XGBoost": (
        lambda: changed(
            training=USE_CASE.training.model_copy(update={"parameters": {"max_depth": "six"}})
        ),
        "training.parameters or search_space: .*max_depth",
    ),
}


def test_what_is_declared_can_be(settings):
    assert declarations.problems(USE_CASE, settings) == []


@pytest.mark.parametrize(("made", "text"), CASES.values(), ids=CASES)
def test_what_cannot_be_is_named_with_file_field_and_what_is_valid(made, text, settings):
    lines = declarations.problems(made(), settings)
    assert lines
    assert all(line.startswith(f"{FILE}: ") for line in lines)
    assert any(re.search(text, line) for line in lines), lines


def test_an_input_cannot_read_what_no_type_of_a_column_is(settings):
    line = declarations.problems(with_input(kind="local_hour"), settings)[0]
    assert "valid for it: ['number']" in line
    assert Input.model_fields["kind"].annotation is not None


@pytest.mark.slow
def test_a_dag_file_raises_once_a_process_of_its_own_has_found_out(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("FLIGHTDECK_HOME", str(tmp_path / "home"))
    settings, started, run = load_settings(), [], subprocess.run
    monkeypatch.setattr(
        subprocess, "run", lambda *given, **more: (started.append(given), run(*given, **more))[1]
    )
    folder = tmp_path / "home" / "cache" / "declarations"
    folder.mkdir(parents=True)
    (folder / "a-broken.spec").write_text("{}")  # keeps no other from its answer
    wrong = {name: changed(feature_service=name) for name in ("flight_delay_v1", "flights_v1")}
    for use_case in wrong.values():
        declarations.require_possible(use_case, settings)
    assert len(started) == 1, "one process answers for all that are asked about"
    deadline = time.monotonic() + 120
    while len(list(folder.glob("*.json"))) < len(wrong):
        assert time.monotonic() < deadline, "the process did not answer"
        time.sleep(0.2)
    for name, use_case in wrong.items():
        with pytest.raises(SpecError, match=f"{FILE}: feature_service is '{name}'"):
            declarations.require_possible(use_case, settings)
    overlay = tmp_path / "overlay.json"
    overlay.write_text('{"flight_delays": {"feature_service": "flight_delay_v1"}}')
    monkeypatch.setenv("FLIGHTDECK_SPEC_OVERLAY", str(overlay))
    assert invoke(["declarations", "flight_delays"]) == 1
    assert "did you mean 'flight_delays_v1'" in capsys.readouterr().out
