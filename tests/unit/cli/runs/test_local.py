"""Whole processes by the command `run`, without the platform: what they leave and print, what is
refused with which exit code, and what is closed behind one that breaks.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO

import polars as pl
import psutil
import pytest

from cli.application import invoke
from cli.platform.environment import process_environment, settings_environment
from cli.runs.verdict import ACCEPTED, REFUSED
from include.interval import Interval
from include.processes.local import SEQUENCES
from include.registry.client import connect
from include.release.in_service import released_version
from include.settings import PROJECT_ROOT, Settings
from include.tables.store import TableStore, in_window
from include.triggers.decisions import read_decisions
from include.use_cases.flight_delays.data import read_source
from include.use_cases.flight_delays.spec import USE_CASE
from proofs.harness.data import SNAPSHOT, labelled_rows
from proofs.harness.databases import mlflow_at
from proofs.harness.home import home_settings
from proofs.harness.registered import register
from proofs.harness.rollouts import write_overlay
from proofs.harness.world import FIRST_ROWS, INTERVAL, build_world
from tests.processes import command_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*type hint is inferred as AnyType:UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:feast"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:great_expectations"),
]

NAME = USE_CASE.name
SHARE = 0.1
JANUARY = Interval(datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 2, 1, tzinfo=UTC))
FEBRUARY = Interval(JANUARY.end, datetime(2013, 3, 1, tzinfo=UTC))
MONTH = ("--from", "2013-01", "--to", "2013-02")


@dataclass(frozen=True)
class Local:
    """A home without a platform, and what its processes printed one after the other."""

    settings: Settings
    features: str
    deployment: str
    scoring: str
    monitoring: str


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    """Version 1 lies in MLflow, unreleased, over the flights of January; the delivery of February
    is broken.
    """
    home = tmp_path_factory.mktemp("local")
    overlay = home / "overlay.json"
    write_overlay(overlay, {})
    variables = {"SPEC_OVERLAY": overlay, "DELIVERY_DIR": home / "deliveries"}
    settings = home_settings(home, SHARE, **variables)
    mlflow_at(home / "mlflow.db")
    world = build_world(settings, versions={1: {"max_depth": 3}})
    register(settings, world, 1)
    rows = labelled_rows(settings, FIRST_ROWS, INTERVAL.end)
    TableStore(settings.tables_uri).replace_all(SNAPSHOT["name"], rows)
    deliver_bad_weather(settings, FEBRUARY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "80")
        yield Local(
            settings,
            run_here(settings, REFUSED, "features", "--from", "2013-01", "--to", "2013-04"),
            run_here(settings, ACCEPTED, "deployment", "--version", "1"),
            run_here(settings, ACCEPTED, "batch_scoring", *MONTH),
            run_as_user(settings, "monitoring", *MONTH),
        )


def deliver_bad_weather(settings: Settings, interval: Interval) -> None:
    folder = settings.home / "deliveries" / NAME / interval.label
    folder.mkdir(parents=True)
    for name, frame in read_source(interval, SHARE).items():
        cold = pl.lit(-999.0).alias("temperature")
        rows = frame.with_columns(cold) if name == "raw/weather" else frame
        rows.write_parquet(folder / f"{name.removeprefix('raw/')}.parquet")


def run_here(settings: Settings, exit_code: int, process: str, *options: str) -> str:
    output = StringIO()
    with redirect_stdout(output):
        assert invoke(["run", NAME, process, *options], settings) == exit_code, output.getvalue()
    return folded(output.getvalue())


def run_as_user(settings: Settings, process: str, *options: str) -> str:
    """In a process of its own, which tells nobody what libraries deprecate."""
    done = subprocess.run(
        [sys.executable, "-m", "cli", "run", NAME, process, *options],
        cwd=PROJECT_ROOT,
        env={**process_environment(settings_environment(settings)), "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == ACCEPTED, done.stdout + done.stderr
    assert "DeprecationWarning" not in done.stderr, done.stderr
    return folded(done.stdout)


def folded(text: str) -> str:
    """What was printed, its lines folded into one; only a word may be wider than the terminal."""
    lines = text.splitlines()
    assert [line for line in lines if len(line) > 80 and len(line.split()) > 2] == []
    return " ".join(text.split())


def in_order(names: Sequence[str], text: str) -> bool:
    places = [text.find(f"] {name}") for name in names]
    return -1 not in places and places == sorted(places)


def test_features_are_published_until_a_month_is_refused_with_its_reasons(local: Local):
    january, _, february = local.features.partition("2013-02-01 00:00 to 2013-03-01 00:00 UTC")
    assert in_order(SEQUENCES["features"], january)
    assert "2013-01-01 00:00 to 2013-02-01 00:00 UTC: accepted." in january
    window = in_window("asked_at", JANUARY.start, JANUARY.end)
    rows = TableStore(local.settings.tables_uri).read("raw/flights", where=window).height
    assert f"published {rows:,} rows to raw/flights" in january
    assert "features 2013-01-01 00:00 to 2013-02-01 00:00 UTC (1 of 3)" in january
    assert february.startswith(" (2 of 3)")
    assert "UTC: refused by validate_data" in february
    assert "1. raw/weather.temperature: range: expected" in february
    assert "2013-03-01 00:00 to 2013-04-01" not in february
    assert "1 of 3 intervals are left. Go on with: --from 2013-02-01T00:00 --to 2013-04" in february


def test_a_first_version_is_deployed_by_an_endpoint_that_lives_as_long_as_the_command(local: Local):
    assert in_order(["starting what the process needs", "flight_delays dep"], local.deployment)
    assert in_order(SEQUENCES["deployment"], local.deployment)
    assert "flight_delays deployment: accepted." in local.deployment
    assert "in service version 1, row" in local.deployment
    released = released_version(local.settings, USE_CASE)
    assert released is not None
    assert int(released.version) == 1
    commands = [command_of(process) for process in psutil.Process().children(recursive=True)]
    assert [command for command in commands if "serving" in " ".join(command)] == []


def test_a_month_is_scored_and_monitored_with_its_figures(local: Local):
    rows = TableStore(local.settings.tables_uri).read(f"{NAME}/predictions").height
    assert f"scored {rows:,} rows with version 1; mean score 0." in local.scoring
    assert in_order(SEQUENCES["monitoring"], local.monitoring)
    row = TableStore(local.settings.tables_uri).read(f"{NAME}/monitoring").row(0, named=True)
    assert f"rows {rows}, labelled {row['labelled']}, drift" in local.monitoring
    assert f"auc {row['auc']:.4g}" in local.monitoring
    assert row["report"] is not None


def test_a_refused_training_prints_its_reasons_and_is_recorded(local: Local):
    text = run_here(local.settings, REFUSED, "training", "--to", "2013-01-08", "--trials", "1")
    assert "training 2013-01-07 00:00 to 2013-01-08 00:00 UTC: refused by validate_snapshot" in text
    assert f"{USE_CASE.training.minimum_rows}" in text.replace(",", "")
    decision = read_decisions(USE_CASE, local.settings).row(-1, named=True)
    assert decision["decision"] == "refused"
    assert decision["run_id"].startswith("local__2013-01-07T00-00_2013-01-08T00-00__")


def test_a_training_that_breaks_is_closed_in_mlflow(local: Local, monkeypatch):
    def break_down(*_: object, **__: object) -> None:
        raise KeyError("as user code may")

    monkeypatch.setattr("include.processes.training.build", break_down)
    with pytest.raises(KeyError):
        invoke(["run", NAME, "training", "--to", "2013-02-01"], local.settings)
    client = connect(local.settings)
    experiment = client.get_experiment_by_name(NAME)
    assert experiment is not None
    newest = client.search_runs([experiment.experiment_id], max_results=1)[0]
    assert newest.info.status == "FAILED"
    assert "KeyError: 'as user code may'" in newest.data.tags["flightdeck.reasons"]
