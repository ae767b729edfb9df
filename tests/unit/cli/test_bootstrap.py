import fcntl
import os
import shutil
import subprocess
import sys
from collections import namedtuple

import pytest

from cli import bootstrap
from include.settings import PROJECT_ROOT

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def root(tmp_path, monkeypatch):
    """An empty project with a lock file, where bootstrap works."""
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    monkeypatch.setattr(bootstrap, "REQUIREMENTS", tmp_path / "requirements.txt")
    monkeypatch.setattr(bootstrap, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(bootstrap, "LAUNCHER", tmp_path / ".venv" / "bin" / "flightdeck")
    monkeypatch.setattr(bootstrap, "STAMP", tmp_path / ".venv" / "flightdeck.stamp")
    monkeypatch.setattr(bootstrap, "LOG", tmp_path / "var" / "log" / "install.log")
    (tmp_path / "requirements.txt").write_text(
        "uv==1.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n    # via\nwheel==2.0 \\\n   "
        " --hash=sha256:cc\n"
    )
    return tmp_path


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A folder that is the whole PATH, and a way to put fake interpreters into it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def add(name, answer, code=0):
        script = folder / name
        script.write_text(f"#!/bin/sh\necho '{answer}'\nexit {code}\n")
        script.chmod(0o755)

    return add


def finished_venv(root):
    (root / ".venv" / "bin").mkdir(parents=True)
    (root / ".venv" / "bin" / "python").symlink_to(sys.executable)
    (root / ".venv" / "flightdeck.stamp").write_text(bootstrap.fingerprint("3.12.1"))


def test_it_needs_the_standard_library_alone():
    code = (
        "import sys; sys.path.insert(0, 'cli'); import bootstrap; print([m for m in sys.modules if"
        " m in ('include', 'pydantic', 'cli')])"
    )
    result = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == "[]"


def test_python3_is_taken_when_it_is_of_a_supported_version(path):
    path("python3", "3.12 3.12.1")
    path("python3.13", "3.13 3.13.0")
    assert bootstrap.find_interpreter("").version == "3.12.1"


def test_an_old_python3_gives_way_to_a_newer_one_that_runs(path):
    path("python3", "3.9 3.9.2")
    path("python3.13", "not found", code=127)
    path("python3.11", "3.11 3.11.9")
    assert bootstrap.find_interpreter("").path == "python3.11"


def test_without_a_suitable_interpreter_it_says_what_there_is(path):
    path("python3", "3.9 3.9.2")
    with pytest.raises(
        bootstrap.BootstrapError, match=r"needs Python 3\.11, 3\.12, 3\.13 and python3 is 3\.9\.2"
    ):
        bootstrap.find_interpreter("")


def test_a_chosen_interpreter_is_never_replaced_by_another(path, tmp_path):
    path("python3", "3.12 3.12.1")
    path("old", "3.10 3.10.4")
    with pytest.raises(bootstrap.BootstrapError, match=r"PYTHON=.*old is Python 3\.10\.4"):
        bootstrap.find_interpreter(str(tmp_path / "bin" / "old"))
    with pytest.raises(bootstrap.BootstrapError, match="is not a Python that runs"):
        bootstrap.find_interpreter(str(tmp_path / "bin" / "absent"))


def test_a_missing_venv_module_is_named_with_its_package(path):
    path("python3", "3.12 3.12.1 ensurepip")
    with pytest.raises(
        bootstrap.BootstrapError,
        match=r"lacks its module ensurepip; .*apt install python3\.12-venv",
    ):
        bootstrap.find_interpreter("")


def test_a_finished_environment_is_left_alone(root, path):
    finished_venv(root)
    assert bootstrap.main([]) == 0
    assert not (root / "var").exists()


def test_the_console_command_works_from_any_folder_and_prefers_the_checkout(root, tmp_path):
    finished_venv(root)
    (root / "cli").mkdir()
    (root / "cli" / "__init__.py").touch()
    (root / "cli" / "__main__.py").write_text("import sys; print('ours', *sys.argv[1:])")
    elsewhere = tmp_path / "a folder"
    (elsewhere / "cli").mkdir(parents=True)
    (elsewhere / "cli" / "__main__.py").write_text("print('theirs')")
    assert bootstrap.main([]) == 0
    link = elsewhere / "linked"
    link.symlink_to(bootstrap.LAUNCHER)
    for path in (bootstrap.LAUNCHER, link):
        done = subprocess.run(
            [path, "logs", "a b"], cwd=elsewhere, capture_output=True, text=True, check=True
        )
        assert done.stdout == "ours logs a b\n"


def test_the_console_command_of_a_checkout_that_moved_is_written_anew(root):
    finished_venv(root)
    bootstrap.LAUNCHER.write_text("#!/bin/sh\nexec /nowhere/python -m cli\n")
    bootstrap.main([])
    assert str(root) in bootstrap.LAUNCHER.read_text()
    before = bootstrap.LAUNCHER.stat().st_mtime_ns
    bootstrap.main([])
    assert bootstrap.LAUNCHER.stat().st_mtime_ns == before


def test_another_lock_file_or_another_interpreter_asks_for_work(root):
    finished_venv(root)
    assert bootstrap.is_right(None)
    assert not bootstrap.is_right(bootstrap.Interpreter("python3.13", "3.13", "3.13.0", []))
    (root / "requirements.txt").write_text("uv==1.1\n")
    assert not bootstrap.is_right(None)


def test_a_half_made_environment_is_not_taken_for_a_finished_one(root):
    finished_venv(root)
    (root / ".venv" / "flightdeck.stamp").unlink()
    assert bootstrap.installed_version() is None


def test_an_interpreter_that_has_gone_is_noticed(root):
    finished_venv(root)
    (root / ".venv" / "bin" / "python").unlink()
    (root / ".venv" / "bin" / "python").symlink_to("/nowhere/python")
    assert bootstrap.installed_version() is None


def test_a_full_disk_is_one_sentence(root, path, monkeypatch, capsys):
    path("python3", "3.12 3.12.1")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**12, 10**12, 12 * 10**8))
    assert bootstrap.main([]) == 1
    error = capsys.readouterr().err
    assert "1.2 GB free and installing the packages needs 4 GB" in error
    assert error.count("\n") == 1


def test_a_failing_installer_is_one_sentence_with_its_reason(root, capfd):
    bootstrap.LOG.parent.mkdir(parents=True)
    with pytest.raises(
        bootstrap.BootstrapError,
        match=r"installing failed: error: no such package \(all of it: .*install\.log\)",
    ):
        bootstrap.run("installing", ["sh", "-c", "echo error: no such package; exit 3"])
    with pytest.raises(bootstrap.BootstrapError, match="the disk is full"):
        bootstrap.run(
            "installing", ["sh", "-c", "echo 'OSError: [Errno 28] No space left on device'; exit 1"]
        )
    with pytest.raises(bootstrap.BootstrapError, match=r"dns error; is there a network\?"):
        bootstrap.run(
            "installing", ["sh", "-c", "echo 'error: failed'; echo '  cause: dns error'; exit 1"]
        )
    assert capfd.readouterr().out == ""


def test_uv_is_installed_with_its_hashes_only(root):
    assert bootstrap.uv_requirement(bootstrap.REQUIREMENTS.read_text()).split() == [
        "uv==1.0",
        "\\",
        "--hash=sha256:aa",
        "\\",
        "--hash=sha256:bb",
    ]
    assert bootstrap.uv_requirement((PROJECT_ROOT / "requirements.txt").read_text()).startswith(
        "uv=="
    )
    with pytest.raises(bootstrap.BootstrapError, match="does not lock uv"):
        bootstrap.uv_requirement("wheel==2.0\n")


def test_an_installer_that_outlives_its_bootstrap_keeps_the_lock(root):
    with bootstrap.only_one():
        bootstrap.run("starting", ["sh", "-c", "sleep 60 & echo $! > pid"])
    pid = int((root / "pid").read_text())
    with (bootstrap.LOG.parent / "install.lock").open("w") as lock:
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.kill(pid, 9)
        fcntl.flock(lock, fcntl.LOCK_EX)
