from __future__ import annotations

import pytest

from include.errors import SettingsError
from include.settings import load_settings
from include.settings.pods import pods_of
from tests.unit.plugins.pod_settings import pod_variables, pods_file
from tests.unit.settings.production import production


def test_of_two_that_say_the_same_the_closer_wins(tmp_path):
    more = """
[steps."training:train_model"]
memory = "4Gi"
cpu = "4"
[use_cases.other]
memory = "8Gi"
[use_cases.other.steps."training:train_model"]
memory = "16Gi"
"""
    pods = pods_of(load_settings(pod_variables(tmp_path, pods_file(tmp_path, more))))
    assert pods.template("flights", "features:ingest_source").memory == "2Gi"
    assert pods.template("flights", "training:train_model").memory == "4Gi"
    assert pods.template("other", "features:ingest_source").memory == "8Gi"
    closest = pods.template("other", "training:train_model")
    assert (closest.memory, closest.cpu) == ("16Gi", "4")


def test_where_steps_run_in_the_worker_no_file_is_read(tmp_path):
    assert pods_of(load_settings({"FLIGHTDECK_PODS_FILE": str(tmp_path / "absent.toml")})) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ('memry = "2Gi"', r"the top has 'memry'.*did you mean 'memory'\? Valid: .*node_selector"),
        ('memory = "2 GB"', r"the top, memory: String should match pattern"),
        ("gpu = 99", r"the top, gpu: .*less than or equal to 16"),
        ('mounts = [{ path = "/x" }]', r"the mount at /x names no source; it is exactly one of"),
        ('variables = { DB_PASSWORD = "x" }', r"DB_PASSWORD looks like a secret.*`secret`"),
        ('variables = { FLIGHTDECK_HOME = "/x" }', r"FLIGHTDECK_HOME is a setting"),
        ('steps = "all"', r"steps is a table of tables"),
        ('[steps."a:b"]\ncpu = "many"', r"steps\.'a:b', cpu: String should match"),
        ('[use_cases.x.steps."a:b"]\ngppu = 1', r"use_cases\.x\.steps\.'a:b' has 'gppu'"),
        (
            '[steps."a:b"]\nmounts = []',
            r"steps\.'a:b', mounts hold no claim in which FLIGHTDECK_HO",
        ),
        ("memory =", r"cannot be read"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_the_place_and_what_is_valid(
    tmp_path, change, message
):
    path = pods_file(tmp_path)
    lines = [
        line
        for line in path.read_text().splitlines()
        if not line.startswith(change.partition(" =")[0])
    ]
    path.write_text("\n".join([*lines, change]))
    with pytest.raises(SettingsError, match=message):
        pods_of(load_settings(pod_variables(tmp_path, path)))


def test_production_takes_images_by_their_digest_alone(tmp_path):
    path = pods_file(tmp_path, '[steps."training:train_model"]\nimage = "flightdeck:latest"')
    variables = pod_variables(tmp_path, path)
    assert pods_of(load_settings(variables)) is not None
    started = {**variables, **production(tmp_path)}
    with pytest.raises(SettingsError, match=r"train_model', image is 'flightdeck:latest'.*digest"):
        pods_of(load_settings(started))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"PODS_FILE": None}, "FLIGHTDECK_PODS_FILE is not set"),
        ({"MLFLOW_TRACKING_URI": None}, "MLFLOW_TRACKING_URI leads to 127.0.0.1.*pod itself"),
        ({"SERVING_URL": "http://localhost:3000"}, "SERVING_URL leads to localhost"),
        ({"LEDGER_URL": None}, "LEDGER_URL is no server's.*SQLite.*postgresql://"),
        ({"LEDGER_URL": "sqlite:////srv/l.db"}, "LEDGER_URL is no server's"),
        ({"ONLINE_STORE": "sqlite"}, "ONLINE_STORE is no server's"),
    ],
)
def test_what_cannot_be_together_with_pods_is_refused_at_start(tmp_path, changes, message):
    variables = pod_variables(tmp_path, pods_file(tmp_path))
    for name, value in changes.items():
        if value is None:
            del variables[f"FLIGHTDECK_{name}"]
        else:
            variables[f"FLIGHTDECK_{name}"] = value
    with pytest.raises(SettingsError, match=message):
        load_settings(variables)
