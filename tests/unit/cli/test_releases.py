"""The command `releases` on a ledger of two releases, one of them a canary."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cli.application import invoke
from include.errors import LedgerBroken, ReleaseError
from include.release.ledger import Entry, Ledger
from include.settings import Settings, load_settings

NAME = "flight_delays"
RUN = {"process": "deployment", "run_id": "manual__7"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"FLIGHTDECK_HOME": str(tmp_path)})


@pytest.fixture
def rows(settings: Settings) -> list[Entry]:
    ledger = Ledger(settings)
    arms = [
        {"role": "champion", "version": 1, "digest": "a" * 64, "share": 0.95},
        {"role": "challenger", "version": 2, "digest": "b" * 64, "share": 0.05},
    ]
    words = "the canary begins with a small share so that few callers would meet a mistake of it"
    return [
        ledger.append("registered", NAME, 1, "a" * 64, "training:alarm", "passed", {}),
        ledger.append("promoted", NAME, 1, "a" * 64, "alice", "the first", {"run": RUN}),
        ledger.append("registered", "other", 1, "c" * 64, "training:alarm", "secret", {}),
        ledger.append(
            "traffic", NAME, 2, "b" * 64, "bob", words, {"run": RUN, "plan": {"arms": arms}}
        ),
        ledger.append("promoted", NAME, 2, "b" * 64, "bob", "it is better", {"run": RUN}),
    ]


def answer(settings: Settings, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert invoke(["releases", *arguments], settings) == 0
    return capsys.readouterr().out


def test_at_says_who_answered_at_which_share_who_decided_and_why(
    settings: Settings, rows: list[Entry], capsys: pytest.CaptureFixture[str]
) -> None:
    moment = rows[3].recorded_at.isoformat()
    text = answer(settings, capsys, "at", moment, "--use-case", NAME)
    for part in ("95.0%", "5.0%", "challenger", "bob", "the canary begins", "deployment/manual__7"):
        assert part in text
    content = json.loads(answer(settings, capsys, "at", moment, "--json"))
    assert [arm["version"] for arm in content[NAME]["arms"]] == [1, 2]
    assert content[NAME]["decided_by"]["number"] == 4
    assert content["other"] is None
    before = (rows[1].recorded_at - timedelta(microseconds=1)).isoformat()
    assert "none had been released" in answer(settings, capsys, "at", before, "--use-case", NAME)


def test_at_takes_any_zone_and_teaches_what_a_time_is(
    settings: Settings, rows: list[Entry], capsys: pytest.CaptureFixture[str]
) -> None:
    naive = (rows[4].recorded_at + timedelta(seconds=1)).replace(tzinfo=None)
    text = answer(settings, capsys, "at", naive.isoformat(), "--use-case", NAME)
    assert "it is better" in text
    with pytest.raises(ReleaseError, match=r"'noon' is no time; write"):
        invoke(["releases", "at", "noon"], settings)


def test_history_is_newest_first_and_reads_at_80_columns(
    settings: Settings,
    rows: list[Entry],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = answer(settings, capsys, "history").splitlines()
    assert max(map(len, lines)) <= 80
    assert [int(line.split()[0]) for line in lines if line[:5].strip()] == [5, 4, 3, 2, 1]
    assert "bob: the canary begins" in " ".join(lines)
    promoted = answer(settings, capsys, "history", "--event", "promoted", "--json")
    assert [row["number"] for row in json.loads(promoted)] == [5, 2]
    assert "No row" in answer(settings, capsys, "history", "--event", "promoted", "--version", "7")


def test_show_prints_a_row_with_its_evidence(
    settings: Settings, rows: list[Entry], capsys: pytest.CaptureFixture[str]
) -> None:
    assert json.loads(answer(settings, capsys, "show", "5")) == rows[4].as_json()
    with pytest.raises(ReleaseError, match="no row 9; it has 5 rows"):
        invoke(["releases", "show", "9"], settings)


def test_verify_names_a_break(
    settings: Settings, rows: list[Entry], capsys: pytest.CaptureFixture[str]
) -> None:
    assert "All 5 rows hold." in answer(settings, capsys, "verify")
    settings.ledger_path.unlink()
    with pytest.raises(LedgerBroken, match="was deleted"):
        invoke(["releases", "verify"], settings)


def exported(settings: Settings, tmp_path: Path, *more: str) -> tuple[Path, Path]:
    """An export and a copy of the key, and nothing else of the home."""
    file, key = tmp_path / "out" / "releases.json", tmp_path / "auditor.pem"
    assert invoke(["releases", "export", str(file), *more], settings) == 0
    key.write_bytes((settings.keys_dir / "ledger.pub.pem").read_bytes())
    return file, key


def test_an_export_is_checked_with_the_public_key_alone(
    settings: Settings, rows: list[Entry], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, key = exported(settings, tmp_path)
    elsewhere = load_settings({"FLIGHTDECK_HOME": str(tmp_path / "elsewhere")})
    text = answer(elsewhere, capsys, "verify", str(file), "--key", str(key))
    assert "all 5 rows" in text
    assert "name yours with --key" in answer(elsewhere, capsys, "verify", str(file))
    assert not (tmp_path / "elsewhere").exists()


def test_an_export_of_one_use_case_hides_the_others_and_holds(
    settings: Settings, rows: list[Entry], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, key = exported(settings, tmp_path, "--use-case", NAME)
    assert "secret" not in file.read_text()
    assert "4 of them are whole" in answer(settings, capsys, "verify", str(file), "--key", str(key))
    with pytest.raises(ReleaseError, match=r"no row about 'flights'; valid: \['flight_delays'"):
        invoke(["releases", "export", str(tmp_path / "x"), "--use-case", "flights"], settings)


def changed(document: dict[str, Any], what: str) -> None:
    rows = document["rows"]
    if what == "edited":
        rows[1]["reason"] = "another"
    elif what == "evidence":
        rows[1]["evidence"] = {}
    elif what == "removed":
        del rows[2]
    elif what == "cut":
        del rows[4]
    elif what == "head":
        document["head"]["number"] = 4
        del rows[4]
    elif what == "hidden":
        rows[2] = {name: rows[2][name] for name in ("number", "previous", "hash", "signature")}
        rows[2]["hash"] = "0" * 64


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        ("edited", "edited"),
        ("evidence", "edited"),
        ("removed", "removed"),
        ("cut", "tail cut"),
        ("head", "head false"),
        ("hidden", "rewritten"),
    ],
)
def test_an_export_that_was_changed_does_not_hold(
    settings: Settings, rows: list[Entry], tmp_path: Path, what: str, kind: str
) -> None:
    file, key = exported(settings, tmp_path)
    document = json.loads(file.read_text())
    changed(document, what)
    file.write_text(json.dumps(document))
    with pytest.raises(LedgerBroken) as error:
        invoke(["releases", "verify", str(file), "--key", str(key)], settings)
    assert error.value.kind == kind


def test_an_export_of_another_ledger_does_not_hold(
    settings: Settings, rows: list[Entry], tmp_path: Path
) -> None:
    file, _ = exported(settings, tmp_path)
    other = load_settings({"FLIGHTDECK_HOME": str(tmp_path / "other")})
    Ledger(other).append("promoted", NAME, 1, "d", "a", "r", {})
    key = other.keys_dir / "ledger.pub.pem"
    with pytest.raises(LedgerBroken, match="not signed with this key"):
        invoke(["releases", "verify", str(file), "--key", str(key)], settings)
    with pytest.raises(ReleaseError, match="is no export"):
        invoke(["releases", "verify", str(key)], settings)
    with pytest.raises(ReleaseError, match="holds no public Ed25519 key"):
        invoke(["releases", "verify", str(file), "--key", str(file)], settings)


def test_nothing_to_export_is_said(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="no row yet"):
        invoke(["releases", "export", str(tmp_path / "x.json")], settings)
