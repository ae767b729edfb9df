"""`flightdeck check` says what keeps a use case from running, before Airflow is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.application import invoke
from cli.authoring.dag_file import dag_file_problems
from include.settings import PROJECT_ROOT, Settings
from proofs.harness.home import home_settings

NAME = "flight_delays"
FILE = (PROJECT_ROOT / "dags" / f"{NAME}.py").read_text()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return home_settings(tmp_path / "home")


@pytest.fixture
def dags(tmp_path: Path) -> Path:
    folder = tmp_path / "dags"
    folder.mkdir()
    return folder


def problems_of(text: str, settings: Settings, dags: Path) -> str:
    (dags / f"{NAME}.py").write_text(text)
    (line,) = dag_file_problems(NAME, settings, dags)
    return line


def test_a_missing_dag_file_is_named_with_what_was_probably_meant(settings, dags):
    (dags / "flight_delay.py").write_text(FILE)
    (line,) = dag_file_problems(NAME, settings, dags)
    assert line.startswith("dags/flight_delays.py is missing; did you mean 'flight_delay'?")
    assert "globals().update(build_all(USE_CASE))" in line


def test_a_file_that_airflow_would_pass_over_is_named(settings, dags):
    text = FILE.replace('"""The Airflow DAGs of the use case flight_delays."""', "")
    text = text.replace("dags.factories", "factories")
    line = problems_of(text, settings, dags)
    assert "holds no word 'airflow' and no 'dag': Airflow passes over such a file" in line


@pytest.mark.slow
def test_a_file_that_cannot_be_imported_is_named_with_its_error(settings, dags):
    line = problems_of(FILE.replace("build_all", "build_everything"), settings, dags)
    assert "dags/flight_delays.py cannot be imported: ImportError" in line
    assert "build_everything" in line


@pytest.mark.slow
def test_dags_that_are_missing_or_another_use_case_s_are_named(settings, dags):
    other = FILE + '\nflight_delays__training.dag_id = "trains__training"\n'
    (dags / f"{NAME}.py").write_text(other)
    missing, foreign = dag_file_problems(NAME, settings, dags)
    assert missing.startswith("dags/flight_delays.py does not define ['flight_delays__training'];")
    assert "defines ['trains__training'], which belong to another use case" in foreign


@pytest.mark.slow
def test_the_use_case_of_the_checkout_holds(settings, capsys):
    assert invoke(["check", NAME], settings) == 0
    assert "the DAG file has every DAG" in capsys.readouterr().out


def test_an_unknown_use_case_is_one_line_with_what_was_meant(settings, capsys):
    assert invoke(["check", "flight_delay"], settings) == 1
    assert "did you mean 'flight_delays'?" in capsys.readouterr().out
