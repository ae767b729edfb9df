"""The manifests and the chart's values: valid by Kubernetes' own schemas, and what must hold of
every pod whatever it runs.
"""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from cli.platform.environment import NO_TELEMETRY, airflow_environment, common_environment
from include.settings import PROJECT_ROOT, Settings, load_settings
from serving.http.application import PROCESS_PATHS

FOLDER = PROJECT_ROOT / "docker" / "kubernetes"
KUBECTL = Path(sys.executable).with_name("kubectl")
ENVIRONMENTS = ("test", "staging", "production")
VERSIONS = ("1.31", "1.37")
"""The oldest and the newest Kubernetes that the manifests are validated for."""
USER = 10001
SECRETS = {
    "FLIGHTDECK_LEDGER_URL": "postgresql://ledger:secret@db/ledger",
    "FLIGHTDECK_ONLINE_STORE": "redis://:secret@store",
    "FLIGHTDECK_FEATURE_REGISTRY": "postgresql://flightdeck:secret@db/flightdeck",
    "FLIGHTDECK_MLFLOW_DATABASE": "postgresql://mlflow:secret@db/mlflow",
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_ENDPOINT_URL": "https://storage.example.com",
    "AWS_REGION": "eu-central-1",
}
"""What the Secrets of docs/kubernetes.md bring."""
BY_SECRETS = {
    "AIRFLOW__API_AUTH__JWT_SECRET",
    "AIRFLOW__API__SECRET_KEY",
    "AIRFLOW__CORE__FERNET_KEY",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC",
}
BY_THE_CHART = {
    "AIRFLOW__API__BASE_URL",
    "AIRFLOW__API__HOST",
    "AIRFLOW__API__PORT",
    "AIRFLOW__CORE__EXECUTION_API_SERVER_URL",
    "AIRFLOW__CORE__EXECUTOR",
    "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST",
    "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH",
    "AIRFLOW__LOGGING__BASE_LOG_FOLDER",
    "AIRFLOW__LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY",
}
"""Options of `flightdeck up` that other values of the chart say, or the places in its pods."""
USERS = "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"
FREE = {"config", "env", "secret", "securityContexts", "volumes", "volumeMounts"}
CHART_VALUES = """
    airflowHome airflowVersion allowPodLaunching apiSecretKeySecretName apiServer.args
    apiServer.networkPolicy.ingress.from apiServer.podDisruptionBudget.config.maxUnavailable
    apiServer.podDisruptionBudget.enabled apiServer.replicas apiServer.resources
    apiServer.serviceAccount.automountServiceAccountToken apiServer.startupProbe.failureThreshold
    config createUserJob.enabled createUserJob.serviceAccount.create createUserJob.useHelmHooks
    dagProcessor.dagBundleConfigList
    dagProcessor.livenessProbe.command dagProcessor.logGroomerSidecar.enabled dagProcessor.replicas
    dagProcessor.resources dagProcessor.serviceAccount.automountServiceAccountToken
    dags.gitSync.enabled dags.gitSync.recommendedProbeSetting dags.persistence.enabled
    data.metadataSecretName enableServiceLinks env executor extraEnvFrom fernetKeySecretName
    fullnameOverride gid images.airflow.digest images.airflow.repository
    images.pod_template.repository images.pod_template.tag jwtSecretName logs.persistence.enabled
    logs.persistence.existingClaim migrateDatabaseJob.applyCustomEnv migrateDatabaseJob.resources
    migrateDatabaseJob.serviceAccount.automountServiceAccountToken
    migrateDatabaseJob.useHelmHooks networkPolicies.enabled postgresql.enabled rbac.create
    redis.enabled scheduler.livenessProbe.command scheduler.logGroomerSidecar.enabled
    scheduler.podDisruptionBudget.config.maxUnavailable scheduler.podDisruptionBudget.enabled
    scheduler.replicas scheduler.resources scheduler.startupProbe.command
    scheduler.startupProbe.failureThreshold secret securityContexts statsd.enabled
    triggerer.livenessProbe.command triggerer.logGroomerSidecar.enabled
    triggerer.persistence.enabled triggerer.replicas triggerer.resources
    triggerer.serviceAccount.automountServiceAccountToken uid volumeMounts volumes
    workers.kubernetes.resources workers.kubernetes.serviceAccount.create
    workers.kubernetes.serviceAccount.name
"""
"""Values that the schema of chart 1.22.0 knows, of those that are set here."""


@cache
def rendered(folder: Path) -> tuple[dict[str, Any], ...]:
    done = subprocess.run(
        [KUBECTL, "kustomize", str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return tuple(yaml.safe_load_all(done.stdout))


def manifests(environment: str) -> tuple[dict[str, Any], ...]:
    return rendered(FOLDER / "overlays" / environment)


def of_kind(environment: str, *kinds: str) -> list[dict[str, Any]]:
    return [item for item in manifests(environment) if item["kind"] in kinds]


def pods(environment: str) -> dict[str, dict[str, Any]]:
    """The pod of each workload: its labels and its specification."""
    return {
        item["metadata"]["name"]: item["spec"]["template"]
        for item in of_kind(environment, "Deployment", "StatefulSet")
    }


def containers(environment: str) -> list[tuple[str, dict[str, Any]]]:
    return [
        (name, container)
        for name, pod in pods(environment).items()
        for container in (*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"])
    ]


def chart_values(environment: str | None = None) -> dict[str, Any]:
    """The values for all environments, or those of one alone."""
    name = "values.yaml" if environment is None else f"values-{environment}.yaml"
    values: dict[str, Any] = yaml.safe_load((FOLDER / "airflow" / name).read_text())
    return values


def variables(environment: str, name: str) -> dict[str, str]:
    (data,) = (
        item["data"]
        for item in of_kind(environment, "ConfigMap")
        if item["metadata"]["name"].startswith(name)
    )
    return dict(data)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("version", VERSIONS)
def test_every_manifest_is_valid_by_kubernetes_own_schema(environment: str, version: str):
    for item in manifests(environment):
        kubernetes_validate.validate(item, version, strict=True)


def test_a_misspelt_field_is_refused():
    item = copy.deepcopy(of_kind("staging", "StatefulSet")[0])
    item["spec"]["template"]["spec"]["enableServiceLink"] = False
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(item, VERSIONS[1], strict=True)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_everything_lies_in_the_environments_own_namespace(environment: str):
    expected = {
        "test": "flightdeck-test",
        "staging": "flightdeck-staging",
        "production": "flightdeck",
    }
    assert {item["metadata"]["namespace"] for item in manifests(environment)} == {
        expected[environment]
    }


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_no_pod_is_root_or_may_write_its_image_or_has_a_token(environment: str):
    for name, pod in pods(environment).items():
        security = pod["spec"]["securityContext"]
        assert (security["runAsNonRoot"], security["runAsUser"]) == (True, USER), name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["spec"]["automountServiceAccountToken"] is False, name
        assert pod["spec"]["enableServiceLinks"] is False, name
    for name, container in containers(environment):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys(), name
        assert "memory" in container["resources"]["limits"], name


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_image_is_named_by_its_digest(environment: str):
    for name, container in containers(environment):
        assert "@sha256:" in container["image"], name
    values = chart_values(environment)
    airflow, pod = values["images"]["airflow"], values["images"]["pod_template"]
    # The chart puts ":" between the two, and so the pods of tasks run the same image.
    assert f"{pod['repository']}:{pod['tag']}" == f"{airflow['repository']}@{airflow['digest']}"


def test_an_overlay_leaves_no_image_of_the_base_as_it_is():
    names = {container["image"] for _, container in containers("production")}
    assert {name.partition("@")[0] for name in names} == {
        "registry.example.com/flightdeck/mlflow",
        "registry.example.com/flightdeck/serving",
    }


def settings_of(environment: str, name: str, home: Path) -> Settings:
    """The settings of the pods that read this ConfigMap, with keys as the Secret brings them."""
    values = {**variables(environment, name), **SECRETS}
    assert values["FLIGHTDECK_HOME"] == "/var/flightdeck"
    (home / "keys").mkdir(parents=True, exist_ok=True)
    (home / "keys" / "signing.pub.pem").write_text("the key of the Secret")
    return load_settings({**values, "FLIGHTDECK_HOME": str(home)})


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("name", ["flightdeck-settings", "flightdeck-airflow-settings"])
def test_the_settings_start_what_reads_them(environment: str, name: str, tmp_path: Path):
    settings = settings_of(environment, name, tmp_path)
    assert settings.environment == environment
    # The endpoint's pods share no disk with Airflow's: packages and plans go through the storage.
    assert str(settings.models_uri).startswith("s3://")
    # Whichever pod of the api-server is asked shows what any worker reported.
    assert str(settings.reports_uri).startswith("s3://")
    # MLflow's replicas share nothing but these, and their disks are gone with them.
    assert str(settings.mlflow_artifacts).startswith("s3://")
    services = {item["metadata"]["name"] for item in of_kind(environment, "Service")}
    assert settings.serving_url.startswith("http://serving:")
    assert settings.mlflow_tracking_uri.startswith("http://mlflow:")
    assert {"serving", "mlflow"} <= services


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_mlflow_asks_who_somebody_is_and_has_the_passwords_of_airflow(
    environment: str, tmp_path: Path
):
    settings = settings_of(environment, "flightdeck-settings", tmp_path)
    assert settings.mlflow_access == "accounts"
    airflows = variables(environment, "flightdeck-airflow-settings")
    pod = pods(environment)["mlflow"]["spec"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    for container in (*pod["initContainers"], *pod["containers"]):
        (variable,) = container["env"]
        assert variable["value"] == airflows[variable["name"]]
        folder = variable["value"].rpartition("/")[0]
        (mount,) = (item for item in container["volumeMounts"] if item["mountPath"] == folder)
        assert volumes[mount["name"]]["secret"]["secretName"] == "flightdeck-accounts"
    values = chart_values()
    secrets = [volume.get("secret", {}).get("secretName") for volume in values["volumes"]]
    assert "flightdeck-accounts" in secrets


def test_the_pods_of_the_chart_read_the_settings_by_their_name():
    values = chart_values()
    read = yaml.safe_load(values["extraEnvFrom"])
    assert read[0] == {"configMapRef": {"name": "flightdeck-airflow-settings"}}
    names = {item["metadata"]["name"] for item in of_kind("production", "ConfigMap")}
    assert "flightdeck-airflow-settings" in names
    claims = {item["metadata"]["name"] for item in of_kind("production", "PersistentVolumeClaim")}
    mounted = {
        volume["persistentVolumeClaim"]["claimName"]
        for volume in values["volumes"]
        if "persistentVolumeClaim" in volume
    }
    assert {*mounted, values["logs"]["persistence"]["existingClaim"]} == claims


def test_airflow_may_write_to_its_file_of_passwords():
    """It opens the file to write whether or not it adds anybody; a Secret is mounted to be read."""
    values = chart_values()
    file = Path(values["config"]["core"]["simple_auth_manager_passwords_file"])
    mounts = {Path(item["mountPath"]): item for item in values["volumeMounts"]}
    nearest = max((path for path in mounts if path in file.parents), key=lambda at: len(at.parts))
    assert not mounts[nearest].get("readOnly", False)
    assert f" {file} " in values["apiServer"]["args"][-1]


def test_airflow_is_configured_as_by_up(tmp_path: Path):
    accounts = tmp_path / "passwords.json"
    accounts.write_text("{}")
    settings = settings_of("staging", "flightdeck-airflow-settings", tmp_path).model_copy(
        update={"airflow_accounts_file": accounts}
    )
    whole = airflow_environment(settings)
    expected = {name: value for name, value in whole.items() if name.startswith("AIRFLOW__")}
    values = chart_values()
    configured = {
        f"AIRFLOW__{section.upper()}__{key.upper()}": str(value)
        for section, options in values["config"].items()
        if section != "kubernetes_executor"
        for key, value in options.items()
    }
    # Nothing that `up` says is left to a default of Airflow or of the chart.
    assert expected.keys() - configured.keys() == {*BY_SECRETS, *BY_THE_CHART, USERS}
    # What a cluster has another value for: places in the image, whoever signs in.
    assert {name for name, value in configured.items() if expected.get(name) != value} == {
        "AIRFLOW__CORE__DAGS_FOLDER",
        "AIRFLOW__CORE__PLUGINS_FOLDER",
        "AIRFLOW__CORE__AUTH_MANAGER",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE",
    }
    bundles = json.loads(expected["AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"])
    assert values["dagProcessor"]["dagBundleConfigList"] == bundles
    assert f"{settings.airflow_url}/execution/" == "http://airflow-api-server:8080/execution/"
    environment = {item["name"]: item["value"] for item in values["env"]}
    common = common_environment(settings)
    here = {"HOME", "PYTHONPATH", "BENTOML_HOME", "MPLCONFIGDIR"}
    assert {name: common[name] for name in environment.keys() - here} == {
        name: value for name, value in environment.items() if name not in here
    }
    assert environment.keys() >= NO_TELEMETRY.keys()


def test_airflow_opens_its_database_by_a_driver_that_is_in_the_image():
    """Where no address says another, it takes asyncpg beside whatever driver is named."""
    values = chart_values()
    (secret,) = values["secret"]
    assert secret == {
        "envName": "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC",
        "secretName": values["data"]["metadataSecretName"],
        "secretKey": "connection",
    }
    # The job that brings the tables up to date opens it too.
    assert values["migrateDatabaseJob"]["applyCustomEnv"] is True
    page = (PROJECT_ROOT / "docs" / "kubernetes.md").read_text()
    assert "`connection`: `postgresql+psycopg://" in page


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_airflow_has_the_users_of_the_settings_and_no_other(environment: str, tmp_path: Path):
    settings = settings_of(environment, "flightdeck-airflow-settings", tmp_path)
    program, option, script = chart_values()["apiServer"]["args"]
    begin, end = script.index("export "), script.index("exec airflow api-server")
    command = [program, option, f'{script[begin:end]} printf %s "${USERS}"']
    variable = {"FLIGHTDECK_USERS": settings.users}
    done = subprocess.run(command, env=variable, capture_output=True, text=True, check=True)
    accounts = ",".join(f"{user}:{role}" for user, role in settings.accounts.items())
    assert done.stdout == accounts
    without = subprocess.run(command, env={}, capture_output=True, text=True, check=False)
    assert without.returncode != 0
    assert "FLIGHTDECK_USERS: is not set" in without.stderr


def test_no_pod_of_airflow_has_a_token_but_those_that_ask_kubernetes_for_something():
    """The chart gives every account one; scheduler and workers, which need it, say nothing here."""
    values = chart_values()
    tokens = {
        component: values[component]["serviceAccount"]["automountServiceAccountToken"]
        for component in ("apiServer", "dagProcessor", "triggerer", "migrateDatabaseJob")
    }
    assert tokens == {
        "apiServer": True,
        "dagProcessor": False,
        "triggerer": False,
        "migrateDatabaseJob": False,
    }
    assert values["createUserJob"]["serviceAccount"] == {"create": False}, "of a job that is off"


def test_no_probe_calls_a_script_of_another_image():
    """Those of the chart call `/entrypoint`, which is in Airflow's own image alone."""
    values = chart_values()
    jobs = {"scheduler": "Scheduler", "dagProcessor": "DagProcessor", "triggerer": "Triggerer"}
    for component, job in jobs.items():
        probes = [part for name, part in values[component].items() if name.endswith("Probe")]
        assert probes
        for probe in probes:
            shell, option, script = probe["command"]
            assert (shell, option) == ("sh", "-c")
            assert script.endswith(f"airflow jobs check --local --job-type {job}Job")


def paths_of(values: dict[str, Any], above: str = "") -> Iterator[str]:
    """Every value that is set, as a path; what the chart hands on as it is stays one."""
    for name, value in values.items():
        path = f"{above}{name}"
        if isinstance(value, dict) and path not in FREE and name != "resources":
            yield from paths_of(value, f"{path}.")
        else:
            yield path


def test_no_value_is_set_that_the_chart_does_not_have():
    """The chart is in no registry that the tests reach. A path that is missing here is to be looked
    up in its values.schema.json, and the chart rendered with it (docs/kubernetes.md).
    """
    known = set(CHART_VALUES.split())
    for environment in (None, *ENVIRONMENTS):
        assert set(paths_of(chart_values(environment))) <= known
    misspelt = {"scheduler": {"replicas": 2, "resorces": 1, "livenessProbe": {"comand": []}}}
    assert len(set(paths_of(misspelt)) - known) == 2


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_probes_ask_what_the_servers_answer(environment: str):
    for name, container in containers(environment):
        ports = {port["name"] for port in container.get("ports", ())}
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            if container["name"] in ("ship", "migrate"):
                assert probe not in container
                continue
            request = container[probe]["httpGet"]
            assert request["path"] in (*PROCESS_PATHS, "/health"), (name, probe)
            assert request["port"] in ports, (name, probe)
    (serving,) = (item for _, item in containers(environment) if item["name"] == "serving")
    # Alive without a model: an endpoint that waits for its first release is not started again.
    assert serving["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert serving["readinessProbe"]["httpGet"]["path"] == "/readyz"


def selects(selector: dict[str, str], labels: dict[str, str]) -> bool:
    return selector.items() <= labels.items()


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_services_budgets_and_policies_lead_to_a_pod(environment: str):
    labels = {name: pod["metadata"]["labels"] for name, pod in pods(environment).items()}
    for item in of_kind(environment, "Service"):
        (name,) = (n for n, values in labels.items() if selects(item["spec"]["selector"], values))
        ports = {
            port["name"]
            for container in pods(environment)[name]["spec"]["containers"]
            for port in container["ports"]
        }
        assert {port["targetPort"] for port in item["spec"]["ports"]} <= ports
    for item in of_kind(environment, "PodDisruptionBudget"):
        wanted = item["spec"]["selector"]["matchLabels"]
        assert any(selects(wanted, values) for values in labels.values())
    policies = of_kind(environment, "NetworkPolicy")
    everything = [item for item in policies if item["spec"]["podSelector"] == {}]
    assert [item["spec"].get("ingress") for item in everything] == [None], "denied by default"
    allowed = [item["spec"]["podSelector"].get("matchLabels", {}) for item in policies]
    for name, values in labels.items():
        assert any(wanted and selects(wanted, values) for wanted in allowed), name


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_replica_may_go_and_one_still_answers(environment: str):
    (scaler,) = of_kind(environment, "HorizontalPodAutoscaler")
    assert scaler["spec"]["scaleTargetRef"]["name"] == "serving"
    (stateful,) = of_kind(environment, "StatefulSet")
    assert "replicas" not in stateful["spec"], "the autoscaler's alone"
    if environment != "test":
        assert scaler["spec"]["minReplicas"] >= 2
    metric = scaler["spec"]["metrics"][0]["containerResource"]
    assert metric["container"] in [
        item["name"] for item in stateful["spec"]["template"]["spec"]["containers"]
    ]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_log_outlives_its_pod_and_is_shipped_after_the_endpoint_ends(environment: str):
    (stateful,) = of_kind(environment, "StatefulSet")
    spec = stateful["spec"]["template"]["spec"]
    (shipper,) = spec["initContainers"]
    assert shipper["command"][:2] == ["flightdeck", "ship"]
    assert shipper["restartPolicy"] == "Always", "a sidecar ends after what it stands beside"
    (endpoint,) = spec["containers"]
    assert shipper["volumeMounts"] == endpoint["volumeMounts"]
    assert shipper["envFrom"] == endpoint["envFrom"]
    (claim,) = stateful["spec"]["volumeClaimTemplates"]
    mounts = {mount["name"]: mount["mountPath"] for mount in endpoint["volumeMounts"]}
    home = variables(environment, "flightdeck-settings")["FLIGHTDECK_HOME"]
    assert mounts[claim["metadata"]["name"]] == home
    assert set(stateful["spec"]["persistentVolumeClaimRetentionPolicy"].values()) == {"Retain"}


def test_no_secret_stands_in_a_file():
    for path in sorted(FOLDER.rglob("*")):
        if path.is_file():
            text = path.read_text()
            assert "kind: Secret\n" not in text, path
            assert "password@" not in text, path


def test_every_secret_that_is_read_is_explained():
    page = (PROJECT_ROOT / "docs" / "kubernetes.md").read_text()
    values = chart_values()
    names = {
        values["data"]["metadataSecretName"],
        *(values[f"{key}SecretName"] for key in ("fernetKey", "apiSecretKey", "jwt")),
        *(
            source["secretRef"]["name"]
            for source in yaml.safe_load(values["extraEnvFrom"])
            if "secretRef" in source
        ),
        *(item["secret"]["secretName"] for item in values["volumes"] if "secret" in item),
    }
    for _, container in containers("production"):
        names |= {
            source["secretRef"]["name"] for source in container["envFrom"] if "secretRef" in source
        }
    for pod in pods("production").values():
        names |= {
            volume["secret"]["secretName"]
            for volume in pod["spec"]["volumes"]
            if "secret" in volume
        }
    assert len(names) > 6
    assert {name for name in names if f"`{name}`" not in page} == set()
