"""The fault table: a difference is told as one, in the file and by the exit status."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import httpx
import pytest

from cli.application import run
from proofs.faults import serving
from proofs.faults.line import Line, show, write
from proofs.faults.release import command as release
from proofs.faults.release.kills import spread
from proofs.harness.endpoint import PREDICT
from proofs.harness.traffic import predict

GOOD = Line("a fault", "0 lost", "0 lost", "7 answers")
BAD = Line("another", "0 lost", "2 lost", "7 answers")


def test_the_file_holds_the_four_fields_of_every_line(tmp_path: Path) -> None:
    write([GOOD, BAD], tmp_path / "faults" / "serving.json")
    content = json.loads((tmp_path / "faults" / "serving.json").read_text())
    assert content[1] == {
        "fault": "another",
        "expected": "0 lost",
        "seen": "2 lost",
        "detail": "7 answers",
    }
    assert (GOOD.holds, BAD.holds) == (True, False)


def test_what_does_not_hold_is_marked_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    show([GOOD, BAD])
    assert capsys.readouterr().out.count("NOT AS EXPECTED") == 1


def test_a_line_reads_at_80_columns_and_nothing_of_it_is_cut(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    long = "0 client errors, version 1 answers, refused for the signature of another key " * 3
    show([Line("swap in a model", long.strip(), long.strip(), f"{long}and no more")])
    printed = capsys.readouterr().out
    assert all(len(line) <= 80 for line in printed.splitlines())
    assert f"{long}and no more" in " ".join(printed.split())


@pytest.mark.parametrize(("name", "command"), [("serving", serving), ("release", release)])
@pytest.mark.parametrize(("lines", "status"), [([GOOD], 0), ([GOOD, BAD], 1), ([], 1)])
def test_the_exit_status_says_whether_every_line_holds(
    lines: list[Line],
    status: int,
    name: str,
    command: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(command, "run", lambda *_, **__: lines)
    table = tmp_path / "table.json"
    assert run(["faults", name, "--quick", "--table", str(table)]) == status
    assert len(json.loads(table.read_text())) == len(lines)


def test_a_lost_or_refused_request_is_asked_again_under_the_same_id() -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path == PREDICT
        seen.append(request.headers["x-request-id"])
        if len(seen) == 1:
            raise httpx.ReadError("cut")
        return httpx.Response(503 if len(seen) == 2 else 200, json={})

    with httpx.Client(base_url="http://endpoint", transport=httpx.MockTransport(answer)) as client:
        found, again = predict(client, [{}])
        assert found is not None
        assert (found.status_code, again, len(set(seen))) == (200, 2, 1)
        predict(client, [{}])
    assert seen[-1] != seen[0]


@pytest.mark.parametrize(
    ("writes", "kills", "points"),
    [(3, 8, [1, 2, 3]), (61, 4, [1, 21, 41, 61]), (5, 4, [1, 2, 4, 5]), (0, 4, [])],
)
def test_kills_are_spread_from_the_first_write_to_the_last(
    writes: int, kills: int, points: list[int]
) -> None:
    assert spread(writes, kills) == points
