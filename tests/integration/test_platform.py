"""The real platform, started once on free ports in a folder of its own."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from cli.bundles.build import build
from cli.platform.airflow_api import AirflowApi
from cli.platform.environment import airflow_environment, passwords, process_environment
from cli.platform.folders import log_dir
from cli.platform.leftovers import find_leftovers
from cli.platform.postgres import LOG
from cli.platform.processes import platform_processes
from cli.platform.state import read_state
from cli.platform.supervision import pid_file, process_states, socket_path
from include.bundles.deployments import Decision, Deployments
from include.bundles.unpacked import unpack
from include.errors import PlatformError
from include.registry.client import connect
from include.settings import PROJECT_ROOT, Settings, load_settings
from proofs.harness.airflow import Account
from proofs.harness.backfills import Backfills
from proofs.harness.ports import free_ports
from tests.homes import ODD_NAME
from tests.processes import listening, runs
from tests.unit.bundles.made import altered

pytestmark = pytest.mark.slow
DAG_ID = "flight_delays__features"
ALARMS = "flight_delays__alarms"
MONTHS = 12


@dataclass
class Platform:
    """A home with ports of its own and the command line that works on it."""

    settings: Settings
    environment: dict[str, str]

    def run(self, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "cli", *arguments]
        environment = {**self.environment, **extra}
        return subprocess.run(
            command,
            cwd=PROJECT_ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=700,
            check=False,
        )


def make_platform(home: Path, ports: list[int]) -> Platform:
    variables = ("FLIGHTDECK_AIRFLOW_PORT", "FLIGHTDECK_MLFLOW_PORT", "FLIGHTDECK_SERVING_PORT")
    own = {
        "FLIGHTDECK_HOME": str(home),
        "FLIGHTDECK_ENV": "test",
        "FLIGHTDECK_MLFLOW_ACCESS": "accounts",
        **dict(zip(variables, map(str, ports), strict=True)),
    }
    return Platform(load_settings(own), process_environment(own))


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory):
    """A platform whose start was killed, and then its supervisor, while it brought up what the
    others need; and the processes that they have left behind.
    """
    home = tmp_path_factory.mktemp("platform") / ODD_NAME
    platform = make_platform(home, free_ports(3))
    command = [sys.executable, "-m", "cli", "up"]
    with subprocess.Popen(command, cwd=PROJECT_ROOT, env=platform.environment) as starting:
        wait_for(lambda: started_by_now(platform) >= {"airflow-database", "mlflow", "serving"})
        starting.kill()
    os.kill(int(pid_file(platform.settings).read_text()), signal.SIGKILL)
    return platform, {process.pid for process in find_leftovers(platform.settings)}


def started_by_now(platform: Platform) -> set[str]:
    """The names of the processes that the supervisor has started, once there is a supervisor."""
    try:
        states = process_states(platform.settings)
    except (PlatformError, OSError):
        return set()
    return {name for name, state in states.items() if state.pid > 0}


@pytest.fixture(scope="module")
def platform(unfinished, first_up):
    platform, _ = unfinished
    try:
        assert first_up.returncode == 0, first_up.stdout + first_up.stderr
        yield platform
    finally:
        stopped = platform.run("down")
        assert stopped.returncode == 0, stopped.stderr


@pytest.fixture(scope="module")
def first_status(unfinished):
    """What `status` says of what was left behind."""
    return unfinished[0].run("status")


@pytest.fixture(scope="module")
def first_up(unfinished, first_status):
    """The first start that comes to its end."""
    return unfinished[0].run("up")


@pytest.fixture(scope="module")
def api(platform):
    with AirflowApi(platform.settings) as api:
        api.wait_for_dag(DAG_ID)
        yield api


def pid_of(platform: Platform, name: str) -> int:
    return process_states(platform.settings)[name].pid


def wait_for(condition, seconds: float = 240.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.5)


def test_after_the_death_of_the_supervisor_up_ends_its_orphans_and_starts_anew(
    unfinished, first_status, first_up, platform
):
    _, orphans = unfinished
    assert len(orphans) >= len(("airflow-database", "mlflow", "serving"))
    assert first_status.returncode == 1
    assert "still live without their supervisor" in first_status.stdout
    assert "that an earlier platform had left behind" in first_up.stdout
    assert not orphans & {process.pid for process in find_leftovers(platform.settings)}
    assert not [pid for pid in orphans if runs(pid)]


def status_when_well(platform, **variables):
    """What `status` says as soon as all is well: beats may be late on a busy machine."""
    seen = [platform.run("status", **variables)]
    wait_for(lambda: seen[-1].returncode == 0 or seen.append(platform.run("status", **variables)))
    return seen[-1]


def test_status_tells_what_runs_where_and_how_to_sign_in(platform):
    status = status_when_well(platform)
    rows = status.stdout.splitlines()
    for process in platform_processes(platform.settings):
        (row,) = [row for row in rows if row.startswith(process.name + " ")]
        assert " running " in row
        assert row.endswith("yes")
        assert process.address in row
    password = json.loads((platform.settings.home / "airflow" / "passwords.json").read_text())[
        "engineer"
    ]
    assert f"engineer / {password}" in status.stdout
    assert f"{platform.settings.mlflow_page}   sign in as a user of Airflow" in status.stdout


def test_the_ports_of_up_are_found_by_commands_that_were_not_told(platform):
    others = dict(
        zip(
            ("FLIGHTDECK_AIRFLOW_PORT", "FLIGHTDECK_MLFLOW_PORT", "FLIGHTDECK_SERVING_PORT"),
            ("1", "2", "3"),
            strict=True,
        )
    )
    assert platform.settings.airflow_url in status_when_well(platform, **others).stdout


def test_a_second_up_says_so_and_changes_nothing(platform):
    before = {name: state.pid for name, state in process_states(platform.settings).items()}
    again = platform.run("up")
    assert again.returncode == 0, again.stderr
    assert again.stdout.startswith("The platform is already up.")
    assert {name: state.pid for name, state in process_states(platform.settings).items()} == before


def test_nothing_listens_beyond_loopback(platform):
    addresses = set(listening(find_leftovers(platform.settings)))
    assert {port for _, port in addresses} >= {
        platform.settings.airflow_port,
        platform.settings.mlflow_port,
    }
    assert {address for address, _ in addresses} == {"127.0.0.1"}


def test_secrets_are_readable_by_their_owner_only(platform):
    home = platform.settings.home
    for path in (
        home / "run" / "supervisord.conf",
        home / "airflow" / "secrets.json",
        home / "airflow" / "passwords.json",
    ):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE(socket_path(platform.settings).stat().st_mode) & 0o077 == 0


def test_no_secret_is_in_a_command_or_a_log_of_the_whole_platform(platform):
    settings = platform.settings
    secrets = [*passwords(settings).values()]
    secrets += json.loads((settings.home / "airflow" / "secrets.json").read_text()).values()
    assert len(secrets) > 4
    shown = {
        str(process.pid): " ".join(process.cmdline()) for process in find_leftovers(settings)
    } | {str(path): path.read_text(errors="replace") for path in log_dir(settings).rglob("*.log")}
    assert any("scheduler" in text for text in shown.values())
    assert len([where for where in shown if where.endswith(".log")]) > 4
    for where, text in shown.items():
        assert not [secret for secret in secrets if secret in text], where


def test_every_option_that_is_set_exists_in_this_airflow(platform):
    from airflow.configuration import conf

    for name in airflow_environment(platform.settings):
        if name.startswith("AIRFLOW__"):
            _, section, option = name.lower().split("__")
            assert option in conf.configuration_description[section]["options"], (
                f"{name} is no option of this Airflow"
            )


def test_every_dag_is_parsed_and_only_the_plugin_file_is_a_plugin(platform, api):
    assert api.get("/api/v2/importErrors")["import_errors"] == []
    with AirflowApi(platform.settings, user="admin") as admin:
        plugins = admin.get("/api/v2/plugins")["plugins"]
        assert admin.get("/api/v2/plugins/importErrors")["import_errors"] == []
    assert [
        plugin["name"] for plugin in plugins if str(plugin["source"]).startswith("$PLUGINS_FOLDER")
    ] == ["flightdeck"]


def test_airflow_refuses_whoever_does_not_sign_in(platform):
    answer = httpx.get(f"{platform.settings.airflow_url}/api/v2/dags", trust_env=False)
    assert answer.status_code == httpx.codes.UNAUTHORIZED


def test_mlflow_lets_its_users_read_and_admins_write(platform):
    settings, secrets = platform.settings, passwords(platform.settings)
    run = connect(settings).create_run(connect(settings).create_experiment("of the platform"))
    tag = {"run_id": run.info.run_id, "key": "note", "value": "mine"}

    def statuses(**who):
        page = settings.mlflow_page
        with httpx.Client(base_url=page, trust_env=False, timeout=60.0, **who) as client:
            api = "/api/2.0/mlflow/runs"
            read = client.get(f"{api}/get", params={"run_id": run.info.run_id})
            return read.status_code, client.post(f"{api}/set-tag", json=tag).status_code

    assert statuses() == statuses(auth=("reviewer", "wrong password")) == (401, 401)
    assert statuses(auth=("reviewer", secrets["reviewer"])) == (200, 403)
    assert statuses(auth=("engineer", secrets["engineer"])) == (200, 403)
    assert statuses(auth=("admin", secrets["admin"])) == (200, 200)
    commands = " ".join(part for process in find_leftovers(settings) for part in process.cmdline())
    assert not [user for user, secret in secrets.items() if secret in commands]


def test_a_run_is_triggered_once_and_its_log_can_be_read(platform, api):
    interval = datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 2, 1, tzinfo=UTC)
    options = {"logical_date": interval[0], "data_interval": interval}
    assert api.trigger(DAG_ID, "by-test", **options) == "queued"
    assert api.trigger(DAG_ID, "by-test", **options) in {"queued", "running", "success"}
    (run,) = api.runs(DAG_ID, run_id_pattern="by-test")
    assert datetime.fromisoformat(run["data_interval_end"]) == interval[1]
    wait_for(lambda: api.task_states(DAG_ID, "by-test").get("ingest_source") == "success", 240)
    log = api.get(f"/api/v2/dags/{DAG_ID}/dagRuns/by-test/taskInstances/ingest_source/logs/1")[
        "content"
    ]
    assert str(platform.settings.home / "log" / "airflow") in json.dumps(log, ensure_ascii=False)


@pytest.fixture
def no_worker_slot(platform):
    """Runs begin and their tasks wait: the scheduler is at work, and the two cores are not."""
    with Account(platform.settings, "admin") as admin:
        pool = "/api/v2/pools/default_pool"
        slots = admin.get(pool)["slots"]
        assert admin.call("PATCH", f"{pool}?update_mask=slots", {"slots": 0}).is_success
        yield
        assert admin.call("PATCH", f"{pool}?update_mask=slots", {"slots": slots}).is_success


def test_a_year_is_back_filled_ten_times_for_two_at_once(platform, api, no_worker_slot):
    """On SQLite most of these calls failed with "database is locked", and left half a year."""
    first, last = datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 12, 1, tzinfo=UTC)
    processes = ("flight_delays__batch_scoring", "flight_delays__monitoring")
    with Backfills(platform.settings) as backfills:
        for dag_id in processes:
            api.wait_for_dag(dag_id)
            backfills.end(dag_id)
        for _ in range(10):
            calls = [backfills.ask(dag_id, first, last) for dag_id in processes]
            assert [call.detail for call in calls] == ["", ""]
            assert [call.left for call in calls] == [{}, {}]
            assert [call.runs for call in calls] == [MONTHS, MONTHS]
            for dag_id in processes:
                backfills.end(dag_id)


def test_airflows_refusal_is_passed_on_with_its_reason(platform, api):
    with pytest.raises(
        PlatformError,
        match=(
            r"answers 404 to GET /api/v2/dags/flight_delays__features/dagRuns/absent: .*not found"
        ),
    ):
        api.run_state(DAG_ID, "absent")
    with pytest.raises(PlatformError, match="the DAG absent is not there after 1 s"):
        api.wait_for_dag("absent", seconds=1)


def test_a_deployed_pipeline_runs_and_a_run_keeps_the_version_that_it_began_with(platform, api):
    code = "include/processes/alarms.py"
    plain = build(platform.settings, images={}, allow_dirty=True)
    old, new = "sent=sum(", "sent=4242 + sum("
    counted = altered(plain, platform.settings, code, old, new)
    run_version(platform, api, counted, "deployed")
    assert sent_by(api, "first") == (counted.version, 4242)
    run_version(platform, api, plain, "rolled_back")
    assert sent_by(api, "second") == (plain.version, 0)
    api.rerun(ALARMS, "first")
    assert sent_by(api, "first") == (counted.version, 4242)
    status = platform.run("bundle", "status")
    assert status.returncode == 0, status.stdout
    assert plain.version[:12] in status.stdout
    # The tests that follow are about the platform of a checkout.
    pipelines = platform.settings.pipelines_dir
    pipelines.rename(pipelines.with_name("pipelines.aside"))


def run_version(platform, api, bundle, event):
    """Let the version run, as a deployment does when its trial was accepted; Airflow sees it."""
    unpack(platform.settings, bundle)
    commit = bundle.manifest.commit
    Deployments(platform.settings).record(
        Decision(event, bundle.version, commit, "test", "by a test", {})
    )
    wait_for(lambda: api.get(f"/api/v2/dags/{ALARMS}")["bundle_version"] == bundle.version, 180)


def sent_by(api, run_id):
    """The version of a run, and what its task counted."""
    api.trigger(ALARMS, run_id)
    wait_for(lambda: api.run_state(ALARMS, run_id) in {"success", "failed"}, 180)
    path = f"/api/v2/dags/{ALARMS}/dagRuns/{run_id}"
    assert api.run_state(ALARMS, run_id) == "success", api.failures(ALARMS, run_id)
    result = api.get(f"{path}/taskInstances/send_alarms/xcomEntries/return_value")["value"]
    return api.get(path)["bundle_version"], result["sent"]


def test_another_platform_on_a_taken_port_is_refused_before_anything_starts(platform, tmp_path):
    taken = platform.settings.mlflow_port
    airflow, serving = free_ports(2)
    other = make_platform(tmp_path / "other", [airflow, taken, serving])
    refused = other.run("up")
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"flightdeck up: port {taken}, which mlflow wants, is in use")
    assert f"MLFLOW_PORT={taken + 1}" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert read_state(other.settings) is None


@pytest.mark.parametrize("name", ["mlflow", "airflow-database"])
def test_a_killed_process_is_started_again(platform, name):
    pid = pid_of(platform, name)
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: pid_of(platform, name) not in {0, pid})
    status_when_well(platform)


def test_down_leaves_nothing_and_can_be_repeated(platform):
    family = [process.pid for process in find_leftovers(platform.settings)]
    assert len(family) > len(platform_processes(platform.settings))
    stopped = platform.run("down")
    assert stopped.returncode == 0, stopped.stderr
    assert not [pid for pid in family if runs(pid)]
    again = platform.run("down")
    assert (again.returncode, again.stdout) == (0, "The platform is not running.\n")
    assert platform.run("status").returncode == 1


def test_a_stopped_platforms_database_runs_for_as_long_as_a_migration(platform):
    log = log_dir(platform.settings) / LOG
    before = log.read_text().count("database system is ready to accept connections")
    done = platform.run("migrate")
    assert (done.returncode, done.stdout) == (0, "The databases are up to date.\n"), done.stderr
    after = log.read_text().count("database system is ready to accept connections")
    assert after == before + 1
    assert not find_leftovers(platform.settings)


def test_the_api_of_a_stopped_platform_is_one_clear_error(platform):
    with (
        AirflowApi(platform.settings) as stopped,
        pytest.raises(PlatformError, match="`make up` starts it"),
    ):
        stopped.runs(DAG_ID)
