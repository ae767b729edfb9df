"""Feast's registry on a server: one host applies, another finds it, and two that apply at once do
it once.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.platform.environment import common_environment, process_environment
from include.errors import FeatureStoreError
from include.features.definitions import known_views
from include.features.store import apply_definitions, open_store, registry_stamp
from include.settings import PROJECT_ROOT, Settings, load_settings
from include.use_cases.flight_delays.spec import USE_CASE
from tests.unit.features.online.stores import Servers

APPLY = """
from include.features.store import apply_definitions
from include.settings import load_settings
print(apply_definitions(load_settings()))
"""
Host = Callable[[str], Settings]


@pytest.fixture
def host(servers: Servers, tmp_path: Path) -> Host:
    server = servers["postgresql"]
    server.clear()

    def made(name: str) -> Settings:
        return load_settings(
            {
                "FLIGHTDECK_HOME": str(tmp_path / name),
                "FLIGHTDECK_TABLES_URI": str(tmp_path / "tables"),
                "FLIGHTDECK_FEATURE_REGISTRY": server.url,
            }
        )

    return made


@pytest.mark.slow
def test_what_one_host_applies_another_one_reads(host: Host) -> None:
    first, second = host("first"), host("second")
    with pytest.raises(FeatureStoreError, match="no feature store in the registry"):
        open_store(second)
    assert registry_stamp(second) is None
    assert apply_definitions(first)
    assert not apply_definitions(second)
    assert known_views(USE_CASE, second) == known_views(USE_CASE, first)
    assert registry_stamp(second) == registry_stamp(first) is not None
    assert not (second.feature_store_dir / "registry.db").exists()


@pytest.mark.slow
def test_of_two_hosts_that_apply_at_once_one_does(host: Host) -> None:
    appliers = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", APPLY],
            cwd=PROJECT_ROOT,
            env=process_environment(common_environment(host(name))),
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("first", "second")
    ]
    answers = [applier.communicate(timeout=180)[0].strip().splitlines()[-1] for applier in appliers]
    assert sorted(answers) == ["False", "True"]
    assert len(known_views(USE_CASE, host("third"))) == 5


def test_a_registry_that_is_away_is_said_without_its_password(tmp_path: Path) -> None:
    settings = load_settings(
        {
            "FLIGHTDECK_HOME": str(tmp_path),
            "FLIGHTDECK_FEATURE_REGISTRY": "postgresql://me:planted-3d@127.0.0.1:1/feast",
        }
    )
    for use in (open_store, apply_definitions, registry_stamp):
        with pytest.raises(FeatureStoreError, match="names it") as refused:
            use(settings)
        assert "planted-3d" not in str(refused.value)
