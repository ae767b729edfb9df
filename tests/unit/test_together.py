"""`make test` runs its halves at the same time and loses neither's failure."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from include.settings import PROJECT_ROOT
from tests import together


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_commands_run_at_the_same_time_and_their_output_is_shown_whole(tmp_path, capsys):
    wait = """
import os, time
open({0!r}, "w").close()
end = time.time() + 20
while not os.path.exists({1!r}) and time.time() < end:
    time.sleep(0.05)
print("done")
raise SystemExit(not os.path.exists({1!r}))
"""
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    started = time.monotonic()
    codes = together.run_together(
        {"a": python(wait.format(one, two)), "b": python(wait.format(two, one))}, tmp_path / "logs"
    )
    assert codes == {"a": 0, "b": 0}
    assert time.monotonic() - started < 20
    shown = capsys.readouterr().out
    assert shown.count("done\n") == 2
    assert "a: exit code 0 after" in shown


@pytest.mark.parametrize(
    ("codes", "expected"),
    [((0, 0), 0), ((0, 1), 1), ((2, 0), 1), ((0, 5), 0), ((5, 5), 1), ((5, 1), 1)],
)
def test_a_failing_half_fails_the_whole(monkeypatch, codes, expected):
    commands = {}

    def run_together(asked: dict[str, list[str]]) -> dict[str, int]:
        commands.update(asked)
        return dict(zip(asked, codes, strict=True))

    monkeypatch.setattr(together, "run_together", run_together)
    assert together.main(["-k", "calibration"]) == expected
    assert all("calibration" in command for command in commands.values())


def test_the_halves_are_all_the_tests():
    halves = [folder for folders in together.HALVES.values() for folder in folders]
    here = {
        f"tests/{path.relative_to(PROJECT_ROOT / 'tests').parts[0]}"
        for path in (PROJECT_ROOT / "tests").rglob("test_*.py")
    }
    assert sorted(halves) == sorted(here)
    assert all(Path(PROJECT_ROOT / half).is_dir() for half in halves)
