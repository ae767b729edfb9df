"""The generated reference pages are what the code says, and nothing in them lacks a sentence."""

from __future__ import annotations

import re
import subprocess

import pytest

from cli.reference import (
    SETTINGS,
    VARIABLES,
    field_default,
    field_type,
    pages,
    reachable_parts,
    reference,
    variable_name,
)
from include.settings import PROJECT_ROOT, Settings
from include.settings.environments import ENVIRONMENTS
from include.settings.references import FILE, SECRET
from include.spec import (
    Binary,
    Column,
    Direction,
    Gates,
    Multiclass,
    Regression,
    ScikitLearn,
    Serving,
    Training,
    Triggers,
    UseCase,
    XGBoost,
)

NAME = re.compile(r"FLIGHTDECK_[A-Z0-9]+(?:_[A-Z0-9]+)*")
BY_PREFIX = re.compile(r"\{PREFIX\}([A-Z0-9]+(?:_[A-Z0-9]+)*)")
PARTS = reachable_parts(UseCase)


def names_in_code() -> set[str]:
    """Every variable that a tracked file names, but for tests, the page and its own source."""
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True
    ).stdout
    names = set()
    for file in filter(None, listing.split("\0")):
        path = PROJECT_ROOT / file
        if file.startswith("tests/") or file in (str(SETTINGS), "cli/reference.py"):
            continue
        if path.is_file() and path.suffix not in (".png", ".parquet", ".gz"):
            text = path.read_text(encoding="utf-8", errors="replace")
            names |= set(NAME.findall(text))
            names |= {f"FLIGHTDECK_{name}" for name in BY_PREFIX.findall(text)}
    return names


def documented_variables() -> list[str]:
    return re.findall(r"^\| `(FLIGHTDECK_\w+)` \|", pages()[SETTINGS], re.MULTILINE)


@pytest.mark.parametrize("path", pages(), ids=str)
def test_a_page_is_what_the_code_says(path):
    file = PROJECT_ROOT / path
    written = file.read_text(encoding="utf-8") if file.exists() else ""
    assert written == pages()[path], f"{path} is not what the code says; run `make docs`"


def test_the_command_writes_both_pages(tmp_path, monkeypatch, capsys):
    text = pages()
    monkeypatch.setattr("cli.reference.PROJECT_ROOT", tmp_path)
    (tmp_path / "docs").mkdir()
    monkeypatch.setattr("cli.reference.pages", lambda: text)
    reference()
    assert {path: (tmp_path / path).read_text() for path in text} == text
    printed = capsys.readouterr().out
    assert all(str(path) in printed for path in text)


@pytest.mark.parametrize("model", [Settings, *PARTS], ids=lambda model: model.__name__)
def test_every_class_and_field_has_a_description(model):
    assert model.__dict__.get("__doc__"), f"{model.__name__} has no docstring"
    silent = [name for name, field in model.model_fields.items() if not field.description]
    assert not silent, f"{model.__name__}: {silent} need a Field(description=...)"
    unfinished = [
        name for name, field in model.model_fields.items() if not field.description.endswith(".")
    ]
    assert not unfinished, f"{model.__name__}: the descriptions of {unfinished} are no sentences"


def test_every_class_that_a_use_case_is_made_of_is_met():
    expected = {UseCase, Binary, Multiclass, Regression, XGBoost, ScikitLearn, Column, Direction}
    assert expected <= set(PARTS)
    assert len(PARTS) == len(set(PARTS))


def test_every_variable_in_the_code_is_documented():
    missing = sorted(names_in_code() - set(documented_variables()))
    assert not missing, f"{missing} need a field of Settings, or a line of cli.reference.VARIABLES"


def test_every_documented_variable_is_read():
    settings = {variable_name(field) for field in Settings.model_fields}
    references = {
        f"{variable_name(name)}{suffix}"
        for name in Settings.model_fields
        for suffix in (FILE, SECRET)
    }
    unread = set(documented_variables()) - settings - references - names_in_code()
    assert not unread, f"nothing reads {sorted(unread)}; take them out of cli.reference.VARIABLES"
    assert not settings & {variable.name for variable in VARIABLES}


def test_a_variable_stands_once():
    documented = documented_variables()
    assert len(documented) == len(set(documented))


def test_a_default_that_differs_names_its_environment():
    line = next(
        line for line in pages()[SETTINGS].splitlines() if "`FLIGHTDECK_SAMPLE_SHARE`" in line
    )
    assert f"`1.0`; `{ENVIRONMENTS['staging'].sample_share}` in staging" in line


@pytest.mark.parametrize(
    ("model", "name", "type_text", "default"),
    [
        (Serving, "decision_threshold", "number, at least 0, at most 1", "`0.5`"),
        (Serving, "log_full", "`refuse` or `answer`", "`refuse`"),
        (Column, "max_new_share", "number, at least 0, at most 1 or `None`", "`None`"),
        (Training, "search_space", "mapping from text to (number, number)", "`{}`"),
        (
            Training,
            "estimator",
            "[XGBoost](#xgboost) or [ScikitLearn](#scikitlearn)",
            "`XGBoost()`",
        ),
        (Gates, "fairness", "list of [FairnessGroups](#fairnessgroups)", "`()`"),
        (Triggers, "alarm_cool_down", "duration, at least 0:00:00", "`7 days, 0:00:00`"),
        (Direction, "change", "number", "required"),
        (UseCase, "feature_service", "text", "derived"),
    ],
)
def test_a_field_reads_in_words(model, name, type_text, default):
    field = model.model_fields[name]
    assert (field_type(field), field_default(field)) == (type_text, default)
