from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from include.errors import FeatureStoreError
from include.features import definitions
from include.features.definitions import known_views
from include.features.store import REGISTRY_FILE, apply_definitions, open_store, use_case_views
from include.settings import PROJECT_ROOT
from include.use_cases.flight_delays.spec import USE_CASE
from proofs.harness.home import home_settings

pytestmark = pytest.mark.slow  # measured at two seconds or more


@pytest.fixture
def settings(tmp_path):
    settings = home_settings(tmp_path)
    apply_definitions(settings)
    return settings


def test_views_are_the_registrys_and_come_back_without_feast(settings):
    expected = use_case_views(USE_CASE, open_store(settings))
    assert known_views(USE_CASE, settings) == expected
    script = (
        "import sys\n"
        "from include.features.definitions import known_views\n"
        "from include.settings import load_settings\n"
        "from include.use_cases.flight_delays.spec import USE_CASE\n"
        "views = known_views(USE_CASE, load_settings())\n"
        "print(len(views), views[-1].ttl, 'feast' in sys.modules)\n"
    )
    environment = {**os.environ, "FLIGHTDECK_ENV": "test", "FLIGHTDECK_HOME": str(settings.home)}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=PROJECT_ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [str(len(expected)), "None", "False"]


def test_a_registry_that_changed_is_read_again(settings, monkeypatch):
    known_views(USE_CASE, settings)
    monkeypatch.setattr(
        definitions,
        "use_case_views",
        lambda use_case, store: (replace(before[0], features=("changed",)),),
    )
    before = use_case_views(USE_CASE, open_store(settings))
    assert known_views(USE_CASE, settings) == before
    os.utime(settings.feature_store_dir / REGISTRY_FILE)
    assert known_views(USE_CASE, settings)[0].features == ("changed",)


def test_a_damaged_file_is_no_obstacle(settings):
    expected = known_views(USE_CASE, settings)
    (settings.feature_store_dir / "views-flight_delays.json").write_text("{")
    assert known_views(USE_CASE, settings) == expected


def test_without_definitions_it_says_what_to_run(tmp_path):
    with pytest.raises(FeatureStoreError, match="apply_definitions"):
        known_views(USE_CASE, home_settings(tmp_path))
