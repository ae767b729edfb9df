"""`flightdeck new-use-case` writes four files that hold as they are: in a copy of the tree they are
declared, linted, imported as DAGs, and an interval is ingested with its features.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy

from cli.application import run
from cli.authoring import files, new_use_case
from include.catalogue import names
from include.settings import PROJECT_ROOT
from tests.unit.cli.authoring.orders import orders

COPIED = ("cli", "dags", "feature_repo", "include", "plugins", "pyproject.toml", "requirements.txt")
MOST_LINES = 200
STEPS = """
import sys
from dags.factories import build_all
from include.catalogue import load_use_case
from include.interval import Interval
from include.processes.declarations import problems
from include.processes import features
from include.settings import load_settings
from include.steps import RunInfo, StepContext
from include.tables.store import TableStore

settings = load_settings()
month = Interval.parse("2023-02-01T00:00+00:00", "2023-03-01T00:00+00:00")
def processes(use_case):
    return {dag_id.partition("__")[2] for dag_id in build_all(use_case)}

for name in sys.argv[1:]:
    use_case = load_use_case(name)
    found = problems(use_case, settings)
    # A new use case names nobody yet who reviews its decisions.
    alike = processes(use_case) == processes(load_use_case("flight_delays")) - {"decision_review"}
    for interval in (Interval.parse("2023-01-01T00:00+00:00", month.start.isoformat()), month):
        run = RunInfo(process="features", run_id="test")
        context = StepContext(use_case, settings, interval, run)
        landed = features.ingest_source(context)
        verdict = features.validate_data(context, landed)
        print(name, found, alike, verdict.accepted, list(verdict.reasons))
        features.publish_tables(context, landed, verdict)
        features.compute_features(context)
    tables = TableStore(settings.tables_uri)
    (view,) = use_case.feature_tables
    frame = tables.read(view.table)
    values = [name for name in frame.columns if name.endswith("_28d")]
    print(name, "features", frame.height > 100, frame[values[0]].null_count() < frame.height)
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The code of this checkout, with a file of orders beside it."""
    root = tmp_path / "copy"
    root.mkdir()
    for name in COPIED:
        path = PROJECT_ROOT / name
        if path.is_dir():
            shutil.copytree(path, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, root / name)
    (root / "orders").mkdir()
    return root


def in_copy(copy: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(copy),
        "FLIGHTDECK_ENV": "test",
        "FLIGHTDECK_HOME": str(copy / "var"),
    }
    return subprocess.run(
        [sys.executable, *command],
        cwd=copy,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def new(copy: Path, name: str, *options: str) -> None:
    done = in_copy(copy, "-m", "cli", "new-use-case", name, "--time", "ordered_at", *options)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_what_is_written_is_checked_parsed_and_ingested_as_it_is(copy: Path):
    rows = orders()
    rows.drop("price", "grade").write_parquet(copy / "orders" / "late.parquet")
    rows.drop("late", "grade").write_csv(copy / "orders" / "prices.csv", separator=";")
    new(copy, "late_orders", "--from", "orders/late.parquet", "--label", "late")
    new(copy, "order_prices", "--from", "orders/prices.csv", "--label", "price")
    written = [
        path
        for name in ("late_orders", "order_prices")
        for path in files.paths(copy, name).values()
    ]
    assert len(written) == 8
    assert {path.name for path in (copy / "include/use_cases/late_orders").iterdir()} <= {
        "spec.py",
        "data.py",
        "__pycache__",
    }
    for path in written:
        assert len(path.read_text().splitlines()) <= MOST_LINES
    ruff = str(Path(sys.executable).with_name("ruff"))
    for arguments in (("check",), ("format", "--check")):
        done = subprocess.run(
            [ruff, *arguments, *map(str, written)],
            cwd=copy,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
    done = in_copy(copy, "-c", STEPS, "late_orders", "order_prices")
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("late_orders", "order_prices"):
        assert done.stdout.count(f"{name} [] True True []") == 2, done.stdout
        assert f"{name} features True True" in done.stdout
    spec = (copy / "include/use_cases/late_orders/spec.py").read_text()
    first, second = (
        (copy / "feature_repo" / f"{name}.py").read_text()
        for name in ("late_orders", "order_prices")
    )
    # The same shops: one entity, declared alike.
    entity = 'name="late_orders_by_shop"'
    assert entity in first
    assert entity in second
    rate = rows["late"].sum() / rows.height
    assert f"late is 1 in {rate:.1%} of {rows.height:,} rows" in spec
    assert "nulls, twice that and 0.01 are tolerated" in spec


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty checkout, into which this process writes."""
    root = tmp_path / "checkout"
    root.mkdir()
    monkeypatch.setattr(new_use_case, "PROJECT_ROOT", root)
    orders(2000).write_parquet(tmp_path / "orders.parquet")
    return root


def written_by(root: Path, *options: str, source: str | None = None) -> str:
    """The specification that the command wrote."""
    arguments = [
        "new-use-case",
        "some_orders",
        "--from",
        source or str(root.parent / "orders.parquet"),
    ]
    assert run([*arguments, "--time", "ordered_at", *options]) == 0
    for path in files.paths(root, "some_orders").values():
        ast.parse(path.read_text())
    text = files.paths(root, "some_orders")["spec"].read_text()
    return " ".join(text.split()).replace("( ", "(")  # however it is broken into lines


def test_several_classes_are_declared_with_their_names(root: Path):
    spec = written_by(root, "--label", "grade")
    assert 'classes=("high", "low", "mid")' in spec
    assert "of the commonest class, 'mid'" in spec
    assert "baseline_input" not in spec


def test_features_hold_until_the_next_run_and_its_rows_are_enough_to_be_watched(root: Path):
    spec = written_by(root, "--label", "grade")  # 2,000 orders of half a year
    assert 'features_cron="@monthly"' in spec
    assert "ttl=timedelta(days=34)" in files.paths(root, "some_orders")["features"].read_text()
    assert "monitoring=Monitoring(minimum_rows=167)" in spec


def test_a_delta_table_is_a_source(root: Path):
    orders(2000).write_delta(str(root.parent / "orders"))
    spec = written_by(root, "--label", "late", source=str(root.parent / "orders"))
    assert f'DeltaSource(uri="{root.parent / "orders"}"' in spec


def test_a_database_is_named_by_a_variable(root: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    url = f"sqlite:///{root.parent / 'orders.db'}"
    engine = sqlalchemy.create_engine(url)
    orders(2000).drop("express").to_pandas().to_sql("orders", engine, index=False)
    engine.dispose()
    monkeypatch.delenv("SOME_ORDERS_DATABASE_URL", raising=False)
    spec = written_by(root, "--label", "late", "--table", "orders", source=url)
    assert 'SqlSource(url_variable="SOME_ORDERS_DATABASE_URL", table="orders"' in spec
    assert url not in spec
    assert "Set SOME_ORDERS_DATABASE_URL" in capsys.readouterr().out


def test_labels_that_are_not_there_yet_are_left_out(root: Path):
    late = pl.when(pl.col("items") < 9).then(pl.col("late"))
    orders(2000).with_columns(late.alias("late")).write_parquet(root.parent / "orders.parquet")
    assert "where='\"late\" IS NOT NULL'" in written_by(root, "--label", "late")


def test_nothing_is_overwritten(root: Path, capsys):
    written_by(root, "--label", "late")
    before = {path: path.read_text() for path in files.paths(root, "some_orders").values()}
    arguments = ["new-use-case", "some_orders", "--from", str(root.parent / "orders.parquet")]
    assert run([*arguments, "--label", "price", "--time", "ordered_at"]) == 1
    assert "there already, and nothing is overwritten" in capsys.readouterr().err
    assert {path: path.read_text() for path in before} == before


def test_a_name_or_a_source_that_cannot_be_writes_nothing(root: Path, capsys):
    for name, source, text in (
        ("Orders!", "orders.parquet", "NAME is 'Orders!'; it must match"),
        ("some_orders", "order.parquet", "did you mean 'orders.parquet'"),
    ):
        arguments = ["new-use-case", name, "--from", str(root.parent / source), "--label", "late"]
        assert run([*arguments, "--time", "ordered_at"]) == 1
        assert text in capsys.readouterr().err
    assert not (root / "dags").exists()


def test_the_names_of_this_checkout_are_taken():
    for name in names():
        assert run(["new-use-case", name, "--from", "x", "--label", "y", "--time", "z"]) == 1
