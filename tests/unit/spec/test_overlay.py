"""An overlay replaces values of a specification, is checked like one, and does not exist in
production.
"""

from __future__ import annotations

import json

import pytest

from include.catalogue import load_use_case
from include.errors import SettingsError, SpecError
from include.settings import load_settings
from include.spec.overlay import overlaid
from include.use_cases.flight_delays.spec import USE_CASE


@pytest.fixture
def overlay(tmp_path, monkeypatch):
    def write(content):
        path = tmp_path / "overlay.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        monkeypatch.setenv("FLIGHTDECK_SPEC_OVERLAY", str(path))
        return path

    return write


def test_objects_merge_and_everything_else_is_replaced(overlay):
    overlay(
        {
            "flight_delays": {
                "training": {"boost_rounds": 2, "parameters": {"eta": 0.9}},
                "slices": [{"column": "origin"}],
            }
        }
    )
    changed = load_use_case("flight_delays")
    assert changed.training.boost_rounds == 2
    assert changed.training.parameters == {**USE_CASE.training.parameters, "eta": 0.9}
    assert [part.column for part in changed.slices] == ["origin"]
    untouched = {"training", "slices"}
    assert changed.model_dump(exclude=untouched) == USE_CASE.model_dump(exclude=untouched)


def test_null_removes_a_key_and_gives_a_field_its_default(overlay):
    overlay({"flight_delays": {"training": {"search_space": None, "parameters": {"eta": None}}}})
    changed = load_use_case("flight_delays").training
    assert changed.search_space == {}
    assert changed.parameters == {
        name: value for name, value in USE_CASE.training.parameters.items() if name != "eta"
    }


def test_without_an_overlay_or_without_the_name_the_code_speaks(overlay):
    assert load_use_case("flight_delays") is USE_CASE
    overlay({"another": {"title": "x"}})
    assert load_use_case("flight_delays") is USE_CASE


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"flight_delays": {"training": {"boost_rounds": 0}}}, "boost_rounds"),
        ({"flight_delays": {"trainign": {}}}, "trainign"),
        ({"flight_delays": {"slices": [{"column": "nowhere"}]}}, "nowhere"),
        ({"flight_delays": 3}, "object of objects"),
        ("{", "cannot be read as JSON"),
    ],
)
def test_an_overlay_is_checked_like_a_specification(overlay, content, words):
    path = overlay(content)
    with pytest.raises(SpecError, match=words):
        overlaid(USE_CASE, path)


def test_production_refuses_an_overlay(tmp_path):
    variables = {
        "FLIGHTDECK_ENV": "production",
        "FLIGHTDECK_SPEC_OVERLAY": str(tmp_path / "overlay.json"),
    }
    with pytest.raises(
        SettingsError,
        match=r"FLIGHTDECK_SPEC_OVERLAY.*production runs the specifications of its code",
    ):
        load_settings(variables)
    assert (
        load_settings({**variables, "FLIGHTDECK_ENV": "staging"}).spec_overlay
        == tmp_path / "overlay.json"
    )
