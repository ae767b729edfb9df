"""What `--from` names is found, and what is not there is said with what is."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.application import run
from cli.authoring import new_use_case
from cli.authoring.origin import source_of
from include.errors import DataError
from include.spec import CsvSource
from tests.unit.cli.authoring.orders import orders


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with orders in each form."""
    rows = orders(300)
    rows.write_csv(tmp_path / "orders.csv", separator=";")
    rows.write_parquet(tmp_path / "orders.parquet")
    rows.write_delta(str(tmp_path / "orders_delta"))
    (tmp_path / "empty").mkdir()
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "a.txt").write_text("a")
    return tmp_path


@pytest.mark.parametrize(
    ("origin", "said"),
    [
        ("{0}/ordres.csv", "has no 'ordres.csv'; did you mean 'orders.csv'?"),
        ("{0}/order.parquet", "has no 'order.parquet'; did you mean 'orders.parquet'?"),
        ("{0}/orders_dleta", "has no 'orders_dleta'; did you mean 'orders_delta'?"),
        ("{0}/nowhere/deep/orders.csv", "has no 'nowhere'"),
        ("{0}/letters", "holds no Parquet or CSV file and is no Delta table; there are ['a.txt']"),
        ("{0}/empty", "holds no Parquet or CSV file"),
        ("{0}/letters/*.csv", "No file matches"),
        ("sqlite:///{0}/ordres.db", "has no 'ordres.db'"),
        ("read_orders", "Rows that a function gives are written to a file first"),
    ],
)
def test_what_is_not_there_is_named_with_what_is(
    folder: Path, origin: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys
):
    monkeypatch.setattr(new_use_case, "PROJECT_ROOT", folder / "checkout")
    arguments = ["new-use-case", "some_orders", "--from", origin.format(folder), "--table", "x"]
    assert run([*arguments, "--label", "late", "--time", "ordered_at"]) == 1
    error = " ".join(capsys.readouterr().err.split())
    assert said in error
    assert "spec.py" not in error
    assert not (folder / "ordres.db").exists()


def test_in_a_folder_of_many_files_the_one_that_is_alike_is_shown(tmp_path: Path):
    for number in range(300):
        (tmp_path / f"a{number:03}.csv").touch()
    (tmp_path / "weather.csv").touch()
    with pytest.raises(DataError, match=r"did you mean 'weather\.csv'\?.* and 281 more\."):
        source_of("rain", str(tmp_path / "wether.csv"), None)


@pytest.mark.parametrize("origin", ["orders.csv", "ord*.csv", "."])
def test_a_csv_file_a_pattern_and_a_folder_are_read_by_their_own_separator(
    folder: Path, origin: str
):
    (folder / "orders.parquet").unlink()
    source, _ = source_of("some_orders", str(folder / origin), None)
    assert isinstance(source, CsvSource)
    assert source.separator == ";"


def test_a_header_that_is_no_utf_8_is_no_traceback(folder: Path, monkeypatch, capsys):
    (folder / "latin.csv").write_bytes("größe,b\n1,2\n".encode("latin-1") * 400)
    monkeypatch.setattr(new_use_case, "PROJECT_ROOT", folder / "checkout")
    arguments = ["new-use-case", "some_orders", "--from", str(folder / "latin.csv")]
    assert run([*arguments, "--label", "b", "--time", "b"]) == 1
    assert "--from cannot be read" in capsys.readouterr().err
