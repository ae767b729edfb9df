"""`make test` runs its parts some at a time and loses no failure."""

from __future__ import annotations

import subprocess
import sys
import time
from itertools import cycle
from pathlib import Path

import psutil
import pytest

from include.settings import PROJECT_ROOT
from tests import ci, other_pythons, together


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


WAIT = """
import os, sys, time
print(os.environ.get("TMPDIR", ""), os.getpid(), flush=True)
time.sleep(60)
"""


def test_who_ends_a_run_leaves_no_process_and_no_folder(tmp_path):
    run = (
        "from pathlib import Path\n"
        "from tests.together import run_together\n"
        f"run_together({{'a': {python(WAIT)!r}}}, Path({str(tmp_path)!r}))"
    )
    process = subprocess.Popen(python(run), cwd=PROJECT_ROOT)
    log, deadline = tmp_path / "a.log", time.monotonic() + 20
    while not (log.exists() and log.read_text().endswith("\n")) and time.monotonic() < deadline:
        time.sleep(0.05)
    *folder, pid = log.read_text().split()
    process.terminate()
    assert process.wait(timeout=20) == 143
    assert not psutil.pid_exists(int(pid))
    assert [path for path in folder if "fd-" in path and Path(path).exists()] == []


LOOK = """
import os, sys, time
open(sys.argv[1], "w").close()
time.sleep(0.3)
print("beside:", *sorted(os.listdir(os.path.dirname(sys.argv[1]))))
os.unlink(sys.argv[1])
raise SystemExit(int(sys.argv[2]))
"""


def test_no_more_run_than_are_wanted_at_once_and_a_failure_stops_none(tmp_path):
    signs = tmp_path / "signs"
    signs.mkdir()
    commands = {
        name: [*python(LOOK), str(signs / name), str(code)]
        for name, code in {"a": 0, "b": 3, "c": 0, "d": 0}.items()
    }
    codes = together.run_together(commands, tmp_path / "logs", at_once=1)
    assert codes == {"a": 0, "b": 3, "c": 0, "d": 0}
    logs = {name: (tmp_path / "logs" / f"{name}.log").read_text() for name in commands}
    assert logs == {name: f"beside: {name}\n" for name in commands}


def test_temporary_files_lie_in_a_folder_of_the_run_that_goes_with_it(tmp_path, monkeypatch):
    monkeypatch.setattr(together, "MEMORY", tmp_path)
    monkeypatch.setattr(together, "MEMORY_BYTES", 0)
    write = python("import tempfile; print(tempfile.mkdtemp())")
    assert together.run_together({"a": write}, tmp_path / "logs") == {"a": 0}
    folder = Path((tmp_path / "logs" / "a.log").read_text().strip())
    assert folder.parent.parent == tmp_path
    assert not folder.parent.exists()


def test_another_user_comes_through_the_folder_in_memory_and_cannot_list_it(tmp_path, monkeypatch):
    monkeypatch.setattr(together, "MEMORY", tmp_path)
    monkeypatch.setattr(together, "MEMORY_BYTES", 0)
    with together.temporary_folder() as folder:
        assert folder is not None
        assert folder.stat().st_mode & 0o777 == 0o711


def test_a_machine_without_room_in_memory_uses_its_own_temporary_folder(tmp_path, monkeypatch):
    for name, value in (("MEMORY", tmp_path / "none"), ("MEMORY_BYTES", 10**18)):
        with monkeypatch.context() as patch:
            patch.setattr(together, name, value)
            with together.temporary_folder() as folder:
                assert folder is None


@pytest.mark.parametrize(
    ("codes", "expected"),
    [([0, 0], 0), ([0, 1], 1), ([2, 0], 1), ([0, 5], 0), ([5, 5], 1), ([5, 1], 1)],
)
def test_a_failing_part_fails_the_whole(monkeypatch, codes, expected):
    commands = {}

    def run_together(parts: dict[str, list[str]]) -> dict[str, int]:
        commands.update(parts)
        return dict(zip(parts, cycle(codes), strict=False))

    monkeypatch.setattr(together, "run_together", run_together)
    assert together.main(["-k", "calibration"]) == expected
    assert all("calibration" in command for command in commands.values())


def test_every_test_file_belongs_to_one_part():
    files = [file for part in together.PARTS for file in together.files_of(part)]
    here = [
        str(path.relative_to(PROJECT_ROOT)) for path in (PROJECT_ROOT / "tests").rglob("test_*.py")
    ]
    assert sorted(files) == sorted(here)
    assert all(together.files_of(part) for part in together.PARTS)


def test_a_part_names_only_what_is_there():
    paths = [path for paths in together.PARTS.values() for path in paths]
    assert [path for path in paths if not (PROJECT_ROOT / path).exists()] == []
    assert len(set(paths)) == len(paths)


def test_continuous_integration_runs_the_rules_every_part_and_every_other_python():
    commands = ci.commands()
    parts = together.commands_of([])
    versions = {name: command[-1] for name, command in commands.items() if "unit-on" in name}
    assert commands.pop("rules") == ["make", "check"]
    assert {name: commands[name] for name in parts} == parts
    assert {*versions.values(), other_pythons.THIS} == set(other_pythons.VERSIONS)
    assert set(commands) == {*parts, *versions}
