from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from include.errors import FeatureStoreError
from include.features.store import apply_definitions, open_store, use_case_views
from include.settings import PROJECT_ROOT, Settings
from include.spec import UseCase
from include.use_cases.flight_delays.spec import USE_CASE
from proofs.harness.home import home_settings

pytestmark = pytest.mark.slow  # measured at two seconds or more


def with_inputs(inputs: list[dict[str, object]]) -> UseCase:
    return UseCase.model_validate(USE_CASE.model_dump() | {"inputs": inputs})


def test_the_specification_and_the_feature_service_agree(two_months: Settings):
    views = {view.name: view for view in use_case_views(USE_CASE, open_store(two_months))}
    assert list(views) == [part.view for part in USE_CASE.feature_tables]
    assert views["route_daily"].join_keys == ("origin", "dest")
    assert views["weather_hourly"].ttl == timedelta(hours=6)
    assert views["plane"].ttl is None
    assert views["plane"].table_uri == f"{two_months.tables_uri}/features/plane"


def test_a_disagreement_names_the_difference_and_the_files(two_months: Settings):
    fewer = with_inputs(
        [item.model_dump() for item in USE_CASE.inputs if item.name != "route_distance"]
    )
    with pytest.raises(
        FeatureStoreError,
        match=r"only the service \['route_daily:distance'\].*flight_delays/spec\.py.*feature_repo",
    ):
        use_case_views(fewer, open_store(two_months))


def test_a_missing_service_is_named_beside_the_existing_ones(two_months: Settings):
    other = UseCase.model_validate(USE_CASE.model_dump() | {"feature_service": "flight_delays_v9"})
    with pytest.raises(FeatureStoreError, match=r"flight_delays_v9.*'flight_delays_v1'"):
        use_case_views(other, open_store(two_months))


def test_feast_is_imported_without_compiling_its_methods_anew():
    from feast import FeatureView

    assert "typeguard" not in FeatureView.__init__.__code__.co_names


def test_applying_again_changes_nothing(two_months: Settings):
    assert apply_definitions(two_months) is False


def test_two_processes_may_apply_at_once(tmp_path: Path):
    code = (
        "from include.features.store import apply_definitions, open_store\n"
        "from include.settings import load_settings\n"
        "settings = load_settings()\n"
        "changed = apply_definitions(settings)\n"
        "views = {view.name for view in open_store(settings).list_feature_views()}\n"
        "print(changed, 'plane' in views)\n"
    )
    environment = os.environ | {"FLIGHTDECK_HOME": str(tmp_path), "PYTHONPATH": str(PROJECT_ROOT)}
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            cwd=PROJECT_ROOT,
        )
        for _ in range(2)
    ]
    said = sorted(process.communicate(timeout=120)[0].strip() for process in running)
    assert said == ["False True", "True True"]


def test_applying_leaves_the_environment_alone(tmp_path: Path):
    before = dict(os.environ)
    apply_definitions(home_settings(tmp_path))
    assert dict(os.environ) == before
