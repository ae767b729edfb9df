"""The demo as a user runs it, on a fifth of the flights: its history back-filled by command, its
platform stopped and started in the middle of the first training, then killed as a whole as by a
power cut, itself killed in the middle of a month and started again, and then read by a program.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import psutil
import pytest

from cli.demo.replay import BAD_CHALLENGER
from cli.platform import metadata
from cli.platform.airflow_api import AirflowApi
from cli.platform.environment import PARALLELISM, passwords, process_environment
from cli.platform.leftovers import find_leftovers
from cli.platform.postgres import program
from cli.runs.verdict import REFUSED
from include.alarms.store import AlarmStore
from include.files import umask
from include.inference_log.log import ship
from include.interval import Interval
from include.registry.client import connect
from include.release.ledger import Ledger
from include.settings import PROJECT_ROOT, Settings, load_settings
from include.tables.store import TableStore
from include.training.study import one_search
from include.use_cases.flight_delays.data import read_source
from proofs.harness.ports import free_port
from tests.processes import command_of
from tests.unit.alarms.receivers import Hook, webhook

ONE_DAY = 100

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]

FIELDS = [
    "month",
    "flights_scored",
    "requests_served",
    "requests_failed",
    "auc",
    "brier",
    "drift",
    "alarm",
    "decision",
    "champion_version",
]


APRIL = Interval(datetime(2013, 4, 1, tzinfo=UTC), datetime(2013, 5, 1, tzinfo=UTC))
FEATURES, TRAINING = "flight_delays__features", "flight_delays__training"
FIRST_TRAINING = "first_champion__2013-04-01"
"""The demo takes the run of this id for its own."""
SEARCH = "tune_model"
SHARE = 0.2
TRIALS = 120
"""A quarter of a minute on an idle machine: `make down` lets a task work on for ten seconds."""


@dataclass(frozen=True)
class Demo:
    """What the demo printed in its lives, and where it ran."""

    settings: Settings
    home: Path
    environment: dict[str, str]
    refused: str
    resumed: str
    stopped: str
    killed_at: str
    output: str
    summary: dict[str, Any]
    hook: Hook


def command(name: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "cli", name, *arguments]


def start_until(line: str, environment: dict[str, str]) -> str:
    """Start the demo, kill -9 it as soon as it prints `line`, and return that line."""
    arguments = command("demo", "--months", "1")
    seen = []
    with subprocess.Popen(
        arguments,
        env=environment,
        cwd=PROJECT_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        for text in process.stdout or ():
            seen.append(text)
            if line in text:
                process.kill()
                return text
    raise AssertionError(f"the demo ended before it printed {line!r}:\n{''.join(seen)}")


def wait_for(condition: Callable[[], bool], seconds: float = 900.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.5)


def run_command(name: str, environment: dict[str, str], *arguments: str, exit_code: int = 0) -> str:
    """What a command prints, none of whose lines is wider than the terminal where they could be
    folded.
    """
    ended = subprocess.run(
        command(name, *arguments),
        env={**environment, "COLUMNS": "80"},
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == exit_code, ended.stdout + ended.stderr
    return ended.stdout


def one_line(text: str) -> str:
    """What a process's command printed, folded back; it fits 80 columns."""
    lines = text.splitlines()
    assert [line for line in lines if len(line) > 80 and len(line.split()) > 2] == []
    return " ".join(text.split())


def back_fill(environment: dict[str, str], deliveries: Path) -> tuple[str, str]:
    """January to March by command: what it prints where the weather of February is broken, and
    then, where its delivery is taken back, with the options that it has printed.
    """
    february = Interval(datetime(2013, 2, 1, tzinfo=UTC), datetime(2013, 3, 1, tzinfo=UTC))
    delivery = deliveries / "flight_delays" / february.label
    delivery.mkdir(parents=True)
    for name, frame in read_source(february, SHARE).items():
        cold = pl.lit(-999.0).alias("temperature")
        rows = frame.with_columns(cold) if name == "raw/weather" else frame
        rows.write_parquet(delivery / f"{name.removeprefix('raw/')}.parquet")
    months = ("--from", "2013-01", "--to", "2013-04")
    refused = run_command("backfill", environment, "flight_delays", *months, exit_code=REFUSED)
    shutil.rmtree(delivery)
    (options,) = re.findall(r"^  (--from \S+ --to \S+)$", refused, re.MULTILINE)
    return refused, run_command("backfill", environment, "flight_delays", *options.split())


def restart_while_it_trains(settings: Settings, environment: dict[str, str]) -> str:
    """The demo's first training, with `make down` and `make up` in the middle of its search, and
    with a kill -9 of everything in the middle of what is left of it; what `make down` printed.
    """
    with AirflowApi(settings) as api:
        conf = {"until": "2013-04-01", "reason": "a restart is met", "trials": TRIALS}
        api.trigger(TRAINING, FIRST_TRAINING, conf=conf)
    wait_for(lambda: any((settings.home / "work").rglob("tuning-*.journal")))
    (journal,) = (settings.home / "work").rglob("tuning-*.journal")
    stopped = run_command("down", environment)
    # However fast the machine is, the search goes on when it has been met, and not before.
    with one_search(journal):
        run_command("up", environment)
        with AirflowApi(settings) as api:
            wait_for(lambda: searching(api) == 2)
        size = journal.stat().st_size
    wait_for(lambda: journal.stat().st_size > size)
    cut_power(settings)
    run_command("up", environment)
    return stopped


def searching(api: AirflowApi) -> int:
    """The try of the first training's search that runs; 0 where none does."""
    task = api.get(f"/api/v2/dags/{TRAINING}/dagRuns/{FIRST_TRAINING}/taskInstances/{SEARCH}")
    assert task["state"] != "success", "the search was over before it was met"
    return int(task["try_number"]) if task["state"] == "running" else 0


def cut_power(settings: Settings) -> None:
    """End every process of the platform at once, as a power cut would: nobody says good-bye."""
    processes = find_leftovers(settings)
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=30)
    assert find_leftovers(settings) == []


@pytest.fixture(scope="module")
def hook() -> Iterator[Hook]:
    """A webhook that is told of alarms."""
    with webhook() as receiver:
        yield receiver


def sinks_of(folder: Path, hook: Hook) -> Path:
    """The file that names the webhook as the one sink."""
    (folder / "hook.url").write_text(f"json://127.0.0.1:{hook.port}/\n")
    path = folder / "sinks.toml"
    path.write_text('[hook]\naddress_file = "hook.url"\nkinds = ["performance"]\n')
    return path


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, hook: Hook) -> Iterator[Demo]:
    home = tmp_path_factory.mktemp("demo")
    overlay = {"FLIGHTDECK_HOME": str(home), "FLIGHTDECK_SAMPLE_SHARE": str(SHARE)}
    overlay["FLIGHTDECK_DELIVERY_DIR"] = str(home / "deliveries")
    overlay["FLIGHTDECK_ALARM_SINKS"] = str(sinks_of(tmp_path_factory.mktemp("sinks"), hook))
    overlay |= {
        f"FLIGHTDECK_{name}_PORT": str(free_port()) for name in ("AIRFLOW", "MLFLOW", "SERVING")
    }
    environment = process_environment(overlay, {**os.environ, "PYTHONUNBUFFERED": "1"})
    settings = load_settings(overlay)
    try:
        run_command("up", environment)
        refused, resumed = back_fill(environment, home / "deliveries")
        stopped = restart_while_it_trains(settings, environment)
        killed_at = start_until("live traffic, day 12", environment)
        again = subprocess.run(
            command("demo", "--months", "1"),
            env=environment,
            cwd=PROJECT_ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert again.returncode == 0, again.stdout + again.stderr
        yield Demo(
            settings,
            home,
            environment,
            refused,
            resumed,
            stopped,
            killed_at,
            again.stdout,
            json.loads((home / "demo" / "summary.json").read_text()),
            hook,
        )
    finally:
        subprocess.run(
            command("down"), env=environment, cwd=PROJECT_ROOT, capture_output=True, check=False
        )


def test_a_back_fill_stops_at_a_refused_month_says_why_and_goes_on_when_it_is_mended(demo: Demo):
    refused, resumed = one_line(demo.refused), one_line(demo.resumed)
    assert "features 2013-01-01 00:00 to 2013-02-01 00:00 UTC: accepted." in refused
    assert (
        "features 2013-02-01 00:00 to 2013-03-01 00:00 UTC: refused by validate_data, for"
        in refused
    )
    assert "1. raw/weather.temperature: range: expected" in refused
    assert f"{demo.settings.airflow_url}/dags/{FEATURES}/runs/command__2013-02-01" in refused
    assert "2013-03-01 00:00 to 2013-04-01" not in refused
    assert "1 of 3 intervals are left." in refused
    assert "2013-01-01 00:00" not in resumed
    for month in ("2013-02-01 00:00 to 2013-03-01", "2013-03-01 00:00 to 2013-04-01"):
        assert f"features {month} 00:00 UTC: accepted." in resumed


def test_months_are_back_filled_in_their_order_each_after_the_one_before_was_published(demo: Demo):
    times = []
    with AirflowApi(demo.settings) as api:
        for run in api.runs(FEATURES)[:3]:
            path = f"/api/v2/dags/{FEATURES}/dagRuns/{run['dag_run_id']}/taskInstances"
            tasks = {task["task_id"]: task for task in api.get(path)["task_instances"]}
            assert run["logical_date"].startswith(f"2013-0{len(times) // 2 + 1}-01")
            times += [tasks["ingest_source"]["start_date"], tasks["publish_tables"]["end_date"]]
    moments = [datetime.fromisoformat(time) for time in times]
    assert moments == sorted(moments)


def test_a_restart_and_a_power_cut_in_the_middle_of_a_training_lose_nothing(demo: Demo):
    run = f"/api/v2/dags/{TRAINING}/dagRuns/{FIRST_TRAINING}"
    with AirflowApi(demo.settings) as api:
        assert api.run_state(TRAINING, FIRST_TRAINING) == "success"
        tasks = api.get(f"{run}/taskInstances")["task_instances"]
    tries = {task["task_id"]: task["try_number"] for task in tasks}
    # Both did hit the search, which was tried again, and nothing else.
    assert "none of its processes is left" in demo.stopped
    assert tries == {**dict.fromkeys(tries, 1), SEARCH: 3}
    client = connect(demo.settings)
    experiment = client.get_experiment_by_name("flight_delays")
    assert experiment is not None
    (parent,) = client.search_runs(
        [experiment.experiment_id], f"tags.`flightdeck.run_id` = '{FIRST_TRAINING}'"
    )
    trials = client.search_runs(
        [experiment.experiment_id], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
    )
    assert len(trials) == TRIALS
    (version,) = client.search_model_versions(f"run_id='{parent.info.run_id}'")
    assert int(version.version) == 1


def test_a_task_finds_the_heavy_libraries_loaded(demo: Demo):
    workers = [
        process
        for process in find_leftovers(demo.settings)
        if "LocalExecutor" in " ".join(command_of(process))
    ]
    assert len(workers) == PARALLELISM
    for worker in workers:
        assert "libxgboost.so" in {Path(file.path).name for file in worker.memory_maps()}


def test_it_goes_on_where_it_was_killed(demo: Demo):
    assert "day 12" in demo.killed_at
    assert "live traffic, day 13" in demo.output
    assert "live traffic, day 12," not in demo.output
    assert "first champion on" not in demo.output


def test_the_summary_holds_the_facts_of_the_run(demo: Demo):
    assert list(demo.summary) == ["months", "releases", "seconds", "urls"]
    (month,) = demo.summary["months"]
    assert list(month) == FIELDS
    tables = TableStore(str(demo.home / "tables"))
    assert month["month"] == "2013-04"
    assert month["flights_scored"] == tables.read("flight_delays/predictions").height > 4000
    assert month["requests_failed"] == 0
    # What was answered since the last look at the newest release lies in the endpoint's journal.
    # As the platform's own processes write.
    with umask(0o077):
        ship(load_settings({"FLIGHTDECK_HOME": str(demo.home)}), "flight_delays")
    logged = tables.read("flight_delays/inference_log")
    state = json.loads((demo.home / "demo" / "state.json").read_text())
    meanwhile = [release["requests_served"] for release in state["releases"].values()]
    assert [release["requests_failed"] for release in state["releases"].values()] == [
        0 for _ in meanwhile
    ]
    # The day that was being sent when the demo was killed is sent again.
    again = logged.height - month["requests_served"] - sum(meanwhile)
    assert 0 <= again < ONE_DAY
    assert month["requests_served"] > 200
    row = tables.read("flight_delays/monitoring").row(0, named=True)
    assert (month["auc"], month["brier"], month["drift"]) == (
        row["auc"],
        row["brier"],
        row["drift"],
    )
    assert 0.6 < month["auc"] < 0.8


def test_the_alarm_started_a_training_that_was_decided(demo: Demo):
    (month,) = demo.summary["months"]
    assert month["alarm"] == "performance"
    trainings = TableStore(str(demo.home / "tables")).read("flight_delays/trainings")
    (training,) = trainings.filter(pl.col("trigger") == "asset").to_dicts()
    (cause,) = json.loads(training["causes_json"])
    assert (cause["source_dag_id"], cause["source_run_id"]) == (
        "flight_delays__monitoring",
        "replay__2013-04",
    )
    settings = load_settings({"FLIGHTDECK_HOME": str(demo.home)})
    rows = [row for row in Ledger(settings).rows("flight_delays") if row.event == "promoted"]
    if training["decision"] == "accepted":
        assert month["decision"] == f"promoted v{training['version']}"
        assert [row.version for row in rows] == [1, training["version"]]
    else:
        assert month["decision"] == "refused: " + "; ".join(json.loads(training["reasons_json"]))
        assert [row.version for row in rows] == [1]


def test_a_deliberately_bad_challenger_is_named_so_and_rolled_back(demo: Demo):
    lines = [row for row in demo.summary["releases"] if row["run"] == BAD_CHALLENGER]
    champion = [row for row in demo.summary["releases"] if row["verdict"] == "promoted"][-1]
    assert [(row["arm"], row["share"]) for row in lines] == [("challenger", 0.05), ("none", 0.0)]
    assert {row["version"].partition(" ")[2] for row in lines} == {"(deliberately bad)"}
    # Labels of the month are there too, and refuse where they are enough.
    assert lines[0]["verdict"].startswith("failed: scores")
    assert lines[1]["verdict"] == f"rolled back to version {champion['version']}"
    assert lines[0]["rows"] >= 50
    assert "(deliberately bad)" in demo.output
    with AirflowApi(demo.settings) as api:
        (why,) = api.failures("flight_delays__deployment", BAD_CHALLENGER)
    assert why.startswith("shift_to_5_percent, try 1: ")
    assert "scores (score_psi" in why
    assert why.endswith("shift_to_5_percent is rolled back.")


def test_a_good_challenger_is_promoted_share_by_share(demo: Demo):
    (month,) = demo.summary["months"]
    lines = [row for row in demo.summary["releases"] if row["run"] != BAD_CHALLENGER]
    first, *others = [row for row in lines if row["verdict"] == "promoted"]
    assert (first["version"], first["share"]) == ("1", 1.0)
    assert [f"promoted v{row['version']}" for row in others] == [month["decision"] for _ in others]
    for promoted in others:
        stages = [row for row in lines if row["run"] == promoted["run"]][:-1]
        assert [(row["arm"], row["share"], row["verdict"]) for row in stages] == [
            ("challenger", share, "passed") for share in (0.05, 0.25, 0.5)
        ]


def test_the_printed_curl_line_works(demo: Demo):
    line = re.search(r"curl -s \S+/predict .*", demo.output)
    assert line is not None, demo.output
    answer = json.loads(
        subprocess.run(
            ["bash", "-c", line.group()], capture_output=True, text=True, check=True
        ).stdout
    )
    (prediction,) = answer["predictions"]
    assert 0 < prediction["probability"] < 1


def test_the_printed_addresses_answer(demo: Demo):
    settings = load_settings(demo.environment)
    password = passwords(settings)["engineer"]
    for name, url in demo.summary["urls"].items():
        if name == "report":
            # Airflow serves it, to those who may read DAGs.
            assert httpx.get(url, timeout=30).status_code == httpx.codes.UNAUTHORIZED
            sign_in = {"username": "engineer", "password": password}
            token = httpx.post(f"{settings.airflow_url}/auth/token", json=sign_in, timeout=30)
            bearer = {"Authorization": f"Bearer {token.json()['access_token']}"}
            page = httpx.get(url, headers=bearer, timeout=30).raise_for_status()
            assert len(page.content) > 100_000
            assert "2013-04-01 00:00 to 2013-05-01 00:00 UTC</title>" in page.text
        elif name == "mlflow":
            assert httpx.get(url, timeout=30).status_code == httpx.codes.UNAUTHORIZED
            assert httpx.get(url, timeout=30, auth=("engineer", password)).is_success
        else:
            assert (
                httpx.get(url, timeout=30, follow_redirects=True).status_code == httpx.codes.OK
            ), name


def test_a_second_demo_reuses_what_stands(demo: Demo):
    again = subprocess.run(
        command("demo", "--months", "1"),
        env=demo.environment,
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "live traffic" not in again.stdout
    assert (
        json.loads((demo.home / "demo" / "summary.json").read_text())["months"]
        == demo.summary["months"]
    )


@pytest.mark.parametrize(
    ("command_name", "process"), [("score", "batch_scoring"), ("monitor", "monitoring")]
)
def test_a_month_that_is_done_is_not_run_again(demo: Demo, command_name: str, process: str):
    month = ("--from", "2013-04", "--to", "2013-05")
    printed = one_line(run_command(command_name, demo.environment, "flight_delays", *month))
    done = f"flight_delays {process} 2013-04-01 00:00 to 2013-05-01 00:00 UTC: done before"
    assert f"{done} (--again runs it anew)" in printed
    assert "run replay__2013-04" in printed


def test_a_training_on_too_few_rows_is_refused_with_its_reasons_in_the_shell(demo: Demo):
    short = ("--to", "2013-01-08", "--trials", "1", "--reason", "a week is too short")
    printed = one_line(
        run_command("train", demo.environment, "flight_delays", *short, exit_code=REFUSED)
    )
    assert "flight_delays training until 2013-01-08T00:00: refused by validate_snapshot" in printed
    assert "1. " in printed
    assert "3000" in printed.replace(",", "")
    assert "The deployment starts by itself" not in printed
    with AirflowApi(demo.settings) as api:
        (newest,) = api.runs(TRAINING, run_id_pattern="command__until-2013-01-08")
    assert newest["state"] == "failed"
    assert f"runs/{newest['dag_run_id']}" in printed


def answers_of(environment: dict[str, str], line: str) -> Any:
    """The predictions of an endpoint that lives for this call; `line` is the demo's curl line."""
    port, grpc = free_port(), free_port()
    (address,) = re.findall(r"http://[^/\s]+", line)
    there = address.replace(address.rpartition(":")[2], str(port))
    ports = {"FLIGHTDECK_SERVING_PORT": str(port), "FLIGHTDECK_GRPC_PORT": str(grpc)}
    with subprocess.Popen(
        command("serve"),
        env={**environment, **ports},
        cwd=PROJECT_ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as endpoint:
        try:
            wait_for(lambda: is_ready(there), seconds=120.0)
            return asked(line.replace(address, there))
        finally:
            endpoint.terminate()


def is_ready(address: str) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(f"{address}/readyz", timeout=5).is_success
    return False


def asked(line: str) -> Any:
    ran = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True)
    answer = json.loads(ran.stdout)
    assert "predictions" in answer, answer
    return answer["predictions"]


def test_a_backup_of_the_running_platform_answers_elsewhere(demo: Demo, tmp_path: Path):
    """The home that it becomes has the same models, features, records and runs."""
    line = re.search(r"curl -s \S+/predict .*", demo.output)
    assert line is not None
    file, home = tmp_path / "demo.tar", tmp_path / "second"
    printed = run_command("backup", demo.environment, str(file))
    assert "Not in it" not in printed
    (expected,) = asked(line.group())
    elsewhere = {
        **{name: value for name, value in demo.environment.items() if "_PORT" not in name},
        "FLIGHTDECK_HOME": str(home),
    }
    run_command("restore", elsewhere, str(file))
    (answered,) = answers_of(elsewhere, line.group())
    assert {**answered, "prediction_id": None} == {**expected, "prediction_id": None}
    run_command("releases", elsewhere, "verify")
    first, second = [Ledger(load_settings(each)).rows() for each in (demo.environment, elsewhere)]
    assert second == first
    runs = run_command(
        "airflow", elsewhere, "dags", "list-runs", TRAINING, "--state", "success", "-o", "json"
    )
    assert FIRST_TRAINING in runs


def secrets_of(home: Path) -> dict[bytes, str]:
    """Each secret that the platform has made, and the file that it belongs to."""
    secrets = {
        value.encode(): f"airflow/{name}"
        for name in ("secrets.json", "passwords.json", "database.json")
        for value in json.loads((home / "airflow" / name).read_text()).values()
    }
    for path in (home / "keys").rglob("*"):
        if path.is_file() and b"PRIVATE KEY" in (content := path.read_bytes()):
            lines = [line for line in content.splitlines() if line and b"-----" not in line]
            secrets[max(lines, key=len)] = str(path.relative_to(home))
    return secrets


def files_of(home: Path) -> Iterator[tuple[str, bytes, int]]:
    """Name, content and mode of the platform's files; others come and go meanwhile."""
    for path in home.rglob("*"):
        with suppress(FileNotFoundError):
            if path.is_file() and not path.is_relative_to(home / "deliveries"):
                yield str(path.relative_to(home)), path.read_bytes(), path.stat().st_mode


def test_no_secret_is_where_it_can_be_read(demo: Demo):
    """A month was trained, released, served and watched: what of it tells a secret?"""
    settings, secrets = load_settings(demo.environment), secrets_of(demo.home)
    assert len(secrets) >= 9
    # What starts the processes hands them their secrets, and is its owner's alone like each file.
    may_hold = {*secrets.values(), "run/supervisord.conf"}
    leaks, open_to_others, names = [], set(), set()
    for name, content, mode in files_of(demo.home):
        names.add(name)
        if mode & 0o077:
            open_to_others.add(name)
        if name not in may_hold:
            leaks += [
                f"{name} tells one of {home}" for key, home in secrets.items() if key in content
            ]
    # The public halves of the keys are for others to check with.
    assert (leaks, open_to_others) == ([], {"keys/ledger.pub.pem", "keys/signing.pub.pem"})
    assert set(secrets.values()) <= names, "a secret is in no file of its own"

    dumped = subprocess.run(
        [program("pg_dump"), "--format=plain", metadata.DATABASE],
        env={**os.environ, **metadata.libpq_environment(settings)},
        capture_output=True,
        check=True,
    ).stdout
    assert FIRST_TRAINING.encode() in dumped
    commands = "\n".join(" ".join(each.info["cmdline"] or []) for each in process_list())
    assert "supervisord" in commands
    for secret, home_of_it in secrets.items():
        assert secret not in dumped, f"Airflow's metadata tell a secret of {home_of_it}"
        assert secret.decode() not in commands, f"the process list tells one of {home_of_it}"


def process_list() -> list[psutil.Process]:
    return list(psutil.process_iter(["cmdline"]))


def test_the_alarm_is_told_and_answered_by_a_training_that_its_gates_decide(demo: Demo):
    store = AlarmStore(demo.settings)
    (alarm,) = [each for each in store.alarms() if each.key.kind == "performance"]
    assert alarm.window == APRIL
    assert store.history(alarm.number)[0].event == "raised"
    (told, *_) = demo.hook.bodies
    assert told["title"] == (
        "[critical] flight_delays: The model performs worse than when it was released"
    )
    assert alarm.reason in told["message"]
    (month,) = demo.summary["months"]
    # On a fifth of the flights the candidate may be refused, and then nothing is released.
    assert month["decision"].startswith(("refused: ", "promoted v2"))


def test_a_fresh_month_is_scored_and_monitored_by_command(demo: Demo):
    month = ("--from", "2013-03", "--to", "2013-04")
    run = "2013-03-01 00:00 to 2013-04-01 00:00 UTC"
    scored = one_line(run_command("score", demo.environment, "flight_delays", *month))
    assert f"flight_delays batch_scoring {run}: accepted. scored " in scored
    assert in_order(scored, "await_features", "plan_partitions", "publish_predictions")
    monitored = one_line(run_command("monitor", demo.environment, "flight_delays", *month))
    assert re.search(
        rf"flight_delays monitoring {run}: (accepted|done, with an alarm)\.", monitored
    )
    assert in_order(monitored, "join_labels", "build_report", "decide_alarm", "raise_alarm")
    rows = re.search(r"scored (\S+) rows", scored)
    assert rows is not None
    assert f"figures rows {rows[1].replace(',', '')}, labelled " in monitored


def in_order(printed: str, *steps: str) -> bool:
    """Whether each step was said to begin, behind minutes and seconds, after the one before."""
    return re.search(".*".join(rf"\[\d\d:\d\d\] {step}\b" for step in steps), printed) is not None
