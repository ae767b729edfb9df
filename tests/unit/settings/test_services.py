"""`FLIGHTDECK_SERVICES`: a host runs its own part of a platform, and knows where the others are."""

from __future__ import annotations

import pytest

from cli.application import invoke
from cli.platform.lifecycle import address_lines
from cli.platform.processes import platform_processes
from include.errors import PlatformError, SettingsError
from include.settings import defaults, load_settings
from include.settings.contradictions import NEEDED_BY
from include.settings.environments import ENVIRONMENTS
from include.settings.services import SERVICES, neighbours
from tests.unit.settings.production import production

ELSEWHERE = {
    "FLIGHTDECK_MLFLOW_TRACKING_URI": "http://mlflow.example.com",
    "FLIGHTDECK_SERVING_URL": "http://answers.example.com",
}
SHARED = {
    "FLIGHTDECK_MODELS_URI": "s3://bucket/models",
    "FLIGHTDECK_TABLES_URI": "s3://bucket/tables",
    "FLIGHTDECK_ONLINE_STORE": "redis://cache:6379/0",
    "FLIGHTDECK_FEATURE_REGISTRY": "postgresql://me:secret@db/registry",
    "AWS_REGION": "us-east-1",
}
AIRFLOW_PROCESSES = {f"airflow-{name}" for name in ("api-server", "scheduler", "dag-processor")} | {
    "airflow-triggerer",
    "airflow-database",
}


def host(home, services, **changes):
    """A host with these services that has all it needs of the others."""
    accounts = home / "accounts.json"
    accounts.write_text('{"releases": "a password", "flightdeck": "another"}')
    variables = {"FLIGHTDECK_HOME": str(home), **ELSEWHERE, **SHARED, **changes}
    variables["FLIGHTDECK_AIRFLOW_ACCOUNTS_FILE"] = str(accounts)
    return {**variables, "FLIGHTDECK_SERVICES": services}


@pytest.mark.parametrize(
    ("services", "names"),
    [
        ("airflow", AIRFLOW_PROCESSES),
        ("mlflow", {"mlflow"}),
        ("serving", {"serving", "ship"}),
        ("airflow, mlflow", {*AIRFLOW_PROCESSES, "mlflow"}),
        ("mlflow,serving", {"mlflow", "serving", "ship"}),
        ("airflow,mlflow,serving", {*AIRFLOW_PROCESSES, "mlflow", "serving"}),
    ],
)
def test_a_host_starts_the_processes_of_its_services_and_no_others(tmp_path, services, names):
    variables = host(tmp_path, services, FLIGHTDECK_AIRFLOW_DATABASE="embedded")
    settings = load_settings(variables)
    assert {process.name for process in platform_processes(settings)} == names
    assert ("airflow" in services) == (tmp_path / "airflow" / "secrets.json").exists()


def test_every_environment_says_what_it_runs_and_production_shows_no_reports_without_accounts():
    for name, environment in ENVIRONMENTS.items():
        assert set(environment.services.split(",")) <= set(SERVICES)
        assert set(environment.required) <= NEEDED_BY.keys()
        assert defaults(name).runs == {"airflow", "mlflow", "serving"}
    evidently = {"FLIGHTDECK_EVIDENTLY_PORT": "8001"}
    for name in ("dev", "staging"):
        assert load_settings({"FLIGHTDECK_ENV": name, **evidently}).runs == set(SERVICES)


def test_production_shows_evidently_to_whoever_says_so(tmp_path):
    variables = {**production(tmp_path), "FLIGHTDECK_EVIDENTLY_PORT": "8001"}
    chosen = "FLIGHTDECK_SERVICES=airflow,mlflow,serving,evidently"
    with pytest.raises(SettingsError, match=chosen):
        load_settings(variables)
    name, _, value = chosen.partition("=")
    assert "evidently" in load_settings({**variables, name: value}).runs


@pytest.mark.parametrize(
    ("services", "message"),
    [
        ("endpoint", r"'endpoint' is no service; Valid, .*airflow, mlflow, serving, evidently"),
        ("airflow,mlfow", r"'mlfow' is no service; did you mean 'mlflow'\?"),
        (" , ", r"it names no service; valid"),
        ("evidently", r"FLIGHTDECK_EVIDENTLY_PORT is not set: nothing would run"),
    ],
)
def test_what_is_no_service_is_refused_with_those_that_are(tmp_path, services, message):
    with pytest.raises(SettingsError, match=message):
        load_settings(host(tmp_path, services))


@pytest.mark.parametrize(
    ("services", "variable", "message"),
    [
        ("airflow", "MLFLOW_TRACKING_URI", r"airflow asks mlflow.*given by FLIGHTDECK_MLFLOW_TR"),
        ("airflow", "SERVING_URL", r"airflow asks serving.*given by FLIGHTDECK_SERVING_URL"),
        ("airflow", "AIRFLOW_ACCOUNTS_FILE", r"of the two airflow alone.*ACCOUNTS_FILE is not set"),
        ("mlflow", "AIRFLOW_ACCOUNTS_FILE", r"of the two mlflow alone.*ACCOUNTS_FILE is not set"),
        *(
            (services, name, rf"two hosts, and FLIGHTDECK_{name} leads to no place that both")
            for services in ("serving", "airflow")
            for name in ("MODELS_URI", "TABLES_URI", "ONLINE_STORE", "FEATURE_REGISTRY")
        ),
    ],
)
def test_a_neighbour_that_is_neither_here_nor_given_is_refused(
    tmp_path, services, variable, message
):
    variables = host(tmp_path, services)
    load_settings(variables)
    del variables[f"FLIGHTDECK_{variable}"]
    with pytest.raises(SettingsError, match=message):
        load_settings(variables)


def test_evidently_is_where_airflows_tasks_write(tmp_path):
    variables = host(tmp_path, "mlflow,evidently", FLIGHTDECK_EVIDENTLY_PORT="8001")
    with pytest.raises(SettingsError, match=r"below the home of their host\. Add airflow"):
        load_settings(variables)


def test_a_child_of_a_host_has_its_settings(tmp_path):
    """What a process of the platform is started with is not refused by it."""
    for services in ("airflow", "serving"):
        variables = host(tmp_path, services)
        for process in platform_processes(load_settings(variables)):
            if process.environment.get("FLIGHTDECK_HOME"):
                child = load_settings({**process.environment, "AWS_REGION": "us-east-1"})
                assert child.services == services


@pytest.mark.parametrize(
    ("services", "needed"),
    [
        ("serving", {"api_keys_file"}),
        ("mlflow", {"users"}),
        ("airflow", {"users", "api_key_file", "alarm_sinks"}),
    ],
)
def test_a_host_of_production_needs_what_its_services_read(tmp_path, services, needed):
    whole = host(tmp_path, services, **production(tmp_path))
    fields = ENVIRONMENTS["production"].required
    minimal = dict(whole)
    for field in fields:
        variable = f"FLIGHTDECK_{field.upper()}"
        without = {name: value for name, value in whole.items() if name != variable}
        if field in needed:
            with pytest.raises(SettingsError, match=f"{variable} is not set, and production"):
                load_settings(without)
        else:
            del minimal[variable]
    assert load_settings(minimal).services == services


def test_who_is_elsewhere_is_known_by_the_address_and_whether_it_is_asked(tmp_path):
    of_airflow = load_settings(host(tmp_path, "airflow"))
    assert [(one.service, one.url, one.needed) for one in neighbours(of_airflow)] == [
        ("mlflow", "http://mlflow.example.com", True),
        ("serving", "http://answers.example.com", True),
    ]
    of_serving = load_settings(host(tmp_path, "serving"))
    assert [(one.service, one.needed) for one in neighbours(of_serving)] == [("mlflow", False)]
    assert neighbours(load_settings({"FLIGHTDECK_HOME": str(tmp_path)})) == ()


def test_an_endpoints_host_makes_up_no_users_and_shows_none(tmp_path):
    lines = address_lines(load_settings(host(tmp_path, "serving")))
    assert [line.split()[0] for line in lines] == ["Endpoint", "gRPC", "Logs"]
    assert not (tmp_path / "airflow").exists()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (
            ["airflow", "dags", "list"],
            r"`airflow` belongs to airflow, and FLIGHTDECK_SERVICES is s",
        ),
        (["component", "mlflow"], r"mlflow belongs to mlflow, and FLIGHTDECK_SERVICES is serving"),
        (["migrate", "mlflow"], r"the database of mlflow belongs to mlflow, and"),
        (["demo"], r"the whole loop on one host, and FLIGHTDECK_SERVICES is serving, without air"),
    ],
)
def test_a_command_for_what_runs_elsewhere_says_so(tmp_path, monkeypatch, command, message):
    for name, value in host(tmp_path, "serving").items():
        monkeypatch.setenv(name, value)
    with pytest.raises(PlatformError, match=message):
        invoke(command)
    assert [path.name for path in tmp_path.rglob("*.json")] == ["accounts.json"]


def test_a_trial_in_a_home_of_its_own_is_no_part_of_a_platform(tmp_path):
    settings = load_settings(host(tmp_path, "airflow")).with_own_stores(tmp_path / "trial")
    assert {"airflow", "mlflow", "serving"} == settings.runs
