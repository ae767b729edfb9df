"""Which Pythons `make test-pythons` finds, and what it says of those that it does not."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests import other_pythons

THIS = f"{sys.version_info.major}.{sys.version_info.minor}"


def put_python(folder: Path, name: str) -> Path:
    """A Python that runs, under a name."""
    folder.mkdir(parents=True)
    path = folder / name
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    path.chmod(0o755)
    return path


def test_a_shim_that_does_not_run_does_not_hide_a_python_behind_it(tmp_path):
    shim = tmp_path / "shims" / f"python{THIS}"
    shim.parent.mkdir()
    shim.write_text("#!/bin/sh\nexit 127\n")
    shim.chmod(0o755)
    real = put_python(tmp_path / "bin", f"python{THIS}")
    path = os.pathsep.join([str(shim.parent), str(real.parent)])
    interpreter = other_pythons.find(THIS, {"PATH": path, "HOME": str(tmp_path)})
    assert interpreter is not None
    assert interpreter.path == str(real)


def test_a_python_of_pyenv_is_found_without_the_path(tmp_path):
    real = put_python(tmp_path / ".pyenv" / "versions" / f"{THIS}.9" / "bin", "python")
    interpreter = other_pythons.find(THIS, {"PATH": "", "HOME": str(tmp_path)})
    assert interpreter is not None
    assert interpreter.path == str(real)


def test_a_python_of_another_version_is_not_taken_for_it(tmp_path):
    put_python(tmp_path / "bin", "python3.99")
    assert (
        other_pythons.find("3.99", {"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path)}) is None
    )


def test_a_python_that_is_not_there_is_skipped_by_name(monkeypatch, capsys):
    monkeypatch.setattr(other_pythons, "VERSIONS", ("3.98", THIS))
    assert other_pythons.main([]) == 0
    assert "Python 3.98: SKIPPED: this machine has no Python 3.98" in capsys.readouterr().out


@pytest.mark.parametrize(("code", "expected"), [(0, 0), (1, 1)])
def test_a_failure_on_any_python_fails_the_command(monkeypatch, capsys, code, expected):
    found = other_pythons.Interpreter(sys.executable, "3.98", "3.98.0", [])
    monkeypatch.setattr(other_pythons, "VERSIONS", ("3.98",))
    monkeypatch.setattr(other_pythons, "find", lambda *_: found)
    monkeypatch.setattr(other_pythons, "ensure", lambda *_: Path(sys.executable))
    ended = {"python-3.98": code}
    monkeypatch.setattr(other_pythons, "run_together", lambda _: ended)
    assert other_pythons.main([]) == expected
    assert ("FAILED" in capsys.readouterr().out) == bool(code)


def test_one_version_can_be_wanted_alone(monkeypatch):
    started = {}
    monkeypatch.setattr(other_pythons, "VERSIONS", ("3.98", "3.99"))
    monkeypatch.setattr(
        other_pythons,
        "find",
        lambda minor, _: other_pythons.Interpreter(sys.executable, minor, f"{minor}.0", []),
    )
    monkeypatch.setattr(other_pythons, "ensure", lambda _: Path(sys.executable))
    monkeypatch.setattr(
        other_pythons, "run_together", lambda runs: started.update(runs) or dict.fromkeys(runs, 0)
    )
    assert other_pythons.main(["3.99", "tests/unit/stats"]) == 0
    assert list(started) == ["python-3.99"]
    assert started["python-3.99"][-1] == "tests/unit/stats"
    assert other_pythons.main([]) == 0
    assert list(started) == ["python-3.99", "python-3.98"]
    assert started["python-3.98"][-3:] == other_pythons.TESTS
