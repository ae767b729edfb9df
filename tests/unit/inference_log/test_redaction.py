"""Privacy marks: what is hashed or dropped is in no file, and who holds the key can still join."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

import include.inference_log.log as log
from include.catalogue import load_use_case
from include.errors import ServingError
from include.inference_log.log import log_frame, log_schema, log_table
from include.inference_log.redaction import Redaction, log_key
from include.inference_log.writer import LogWriter
from include.settings import Settings, load_settings
from include.spec import UseCase
from include.tables.store import TableStore
from tests.unit.inference_log.log_helpers import EVENT, answered, marked
from tests.unit.inference_log.log_helpers import log as log_rows

SECRET_TAIL, SECRET_CARRIER, SECRET_ID = (
    "N-SECRET-TAIL-4711",
    "SECRET-CARRIER",
    "SECRET-FLIGHT-0815",
)
SECRETS = (SECRET_TAIL, SECRET_CARRIER, SECRET_ID)


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    return load_settings({"FLIGHTDECK_HOME": str(tmp_path)})


def logged(home: Settings, use_case: UseCase, monkeypatch: pytest.MonkeyPatch) -> pl.DataFrame:
    """A row with secrets in it, written and shipped as `use_case` marks them."""
    monkeypatch.setattr(log, "load_use_case", lambda _: use_case)
    writer = LogWriter(home, {use_case.name: use_case})
    writer.tend()
    rows = answered(
        2, request={"tailnum": SECRET_TAIL, "carrier": SECRET_CARRIER}, target_id=SECRET_ID
    )
    log_rows(writer, rows[:1])
    writer.append(use_case.name, rows[1:], ())
    log.ship(home, use_case.name)
    # The spool stays open: its write-ahead log is looked through as well.
    return TableStore(home.tables_uri).read(log_table(use_case.name))


def found_in_files(home: Settings) -> set[str]:
    """Secrets that are anywhere in the bytes of any file below the home, Parquet files also as
    unpacked.
    """
    found = set()
    for path in (path for path in home.home.rglob("*") if path.is_file()):
        content = path.read_bytes()
        if path.suffix == ".parquet":
            content += pl.read_parquet(path).write_json().encode()
        found |= {secret for secret in SECRETS if secret.encode() in content}
    return found


def test_without_marks_the_values_are_in_the_files(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged(home, load_use_case("flight_delays"), monkeypatch)
    assert found_in_files(home) == set(SECRETS)
    assert not (home.keys_dir / "log.key").exists()


def test_marked_values_are_in_no_file(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    use_case = marked(tailnum="hash", carrier="drop", flight_id="hash")
    frame = logged(home, use_case, monkeypatch)
    assert found_in_files(home) == set()
    assert dict(frame.schema) == log_schema(use_case)
    assert "carrier" not in frame.columns
    redaction = Redaction(home, use_case)
    assert frame["tailnum"].unique().to_list() == [redaction.hashed("tailnum", SECRET_TAIL)]
    assert frame["flight_id"].unique().to_list() == [redaction.hashed("flight_id", SECRET_ID)]
    assert len(frame["tailnum"][0]) == 32
    assert frame["dest"].unique().to_list() == ["LAX"]
    key = (home.keys_dir / "log.key").read_bytes()
    others = [path for path in home.home.rglob("*") if path.is_file() and path.name != "log.key"]
    assert not any(
        key in path.read_bytes() or key.hex().encode() in path.read_bytes() for path in others
    )


def test_the_key_is_private_stays_and_decides_the_hash(home: Settings, tmp_path: Path) -> None:
    key = log_key(home)
    path = home.keys_dir / "log.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert log_key(home) == key
    use_case = marked(tailnum="hash", dest="hash")
    redaction = Redaction(home, use_case)
    elsewhere = Redaction(load_settings({"FLIGHTDECK_HOME": str(tmp_path / "elsewhere")}), use_case)
    assert (
        redaction.hashed("tailnum", "N1")
        == Redaction(home, use_case).hashed("tailnum", "N1")
        != elsewhere.hashed("tailnum", "N1")
    )
    assert redaction.hashed("tailnum", "N1") != redaction.hashed("dest", "N1")
    assert redaction.hashed("tailnum", None) is None
    path.write_bytes(b"short")
    with pytest.raises(ServingError, match="must hold 32"):
        Redaction(home, use_case)


@pytest.fixture
def tables(home: Settings) -> Iterator[TableStore]:
    """One flight in the entity table."""
    store = TableStore(home.tables_uri)
    flight = {
        "flight_id": SECRET_ID,
        "asked_at": EVENT,
        "scheduled_departure": EVENT,
        "carrier": SECRET_CARRIER,
        "flight_number": 1,
        "origin": "JFK",
        "dest": "LAX",
        "tailnum": SECRET_TAIL,
        "distance": 10.0,
    }
    store.replace_all(
        "raw/flights",
        pl.DataFrame([flight]).with_columns(
            pl.col("asked_at", "scheduled_departure").cast(log_types())
        ),
    )
    return store


def log_types() -> pl.DataType:
    return pl.Datetime("us", "UTC")


def test_who_holds_the_key_reads_the_log_as_if_nothing_were_marked(
    home: Settings, tables: TableStore
) -> None:
    plain, hidden = (
        load_use_case("flight_delays"),
        marked(tailnum="hash", carrier="drop", flight_id="hash", scheduled_departure="hash"),
    )
    given = {
        "tailnum": SECRET_TAIL,
        "carrier": SECRET_CARRIER,
        "scheduled_departure": EVENT.isoformat(),
    }
    rows = [
        *answered(1, request=given, target_id=SECRET_ID),
        *answered(1, target_id=None),
        *answered(1, target_id="another"),
    ]
    redaction = Redaction(home, hidden)
    frame = log_frame(
        hidden, [(number, *row.as_row()) for number, row in enumerate(redaction.cover(rows))]
    )
    assert SECRET_ID not in frame["flight_id"].to_list()
    lifted = redaction.lift(tables, frame)
    clear = log_frame(plain, [(number, *row.as_row()) for number, row in enumerate(rows)])
    assert dict(lifted.schema) == dict(clear.schema)
    assert lifted.row(0, named=True) == clear.row(0, named=True)
    for number in (1, 2):
        assert [
            lifted[name][number]
            for name in ("flight_id", "tailnum", "carrier", "scheduled_departure")
        ] == [None] * 4
        assert lifted["dest"][number] == "LAX"


def test_a_dropped_id_leaves_nothing_to_join_by(home: Settings, tables: TableStore) -> None:
    hidden = marked(flight_id="drop", tailnum="drop")
    redaction = Redaction(home, hidden)
    frame = log_frame(
        hidden, [(1, *row.as_row()) for row in redaction.cover(answered(1, target_id=SECRET_ID))]
    )
    lifted = redaction.lift(tables, frame)
    assert (lifted["flight_id"].to_list(), lifted["tailnum"].to_list()) == ([None], [None])
    assert dict(lifted.schema) == log_schema(load_use_case("flight_delays"))


def test_the_event_time_cannot_be_marked() -> None:
    use_case = marked(asked_at="hash")
    with pytest.raises(ValueError, match="its privacy must be 'clear'"):
        UseCase.model_validate(use_case.model_dump())
