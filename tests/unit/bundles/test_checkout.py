"""What of a checkout becomes a bundle."""

import os
import subprocess

import pytest

from include.bundles.checkout import project, read_checkout
from include.errors import BundleError

PYPROJECT = '[project]\nname = "flightdeck"\nversion = "9.8.7"\nrequires-python = ">=3.11"\n'


def git(root, *arguments):
    who = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com")
    subprocess.run(["git", "-C", root, *who, *arguments], check=True, capture_output=True)


@pytest.fixture
def root(tmp_path):
    """A checkout with a commit."""
    for name, content in {
        "pyproject.toml": PYPROJECT,
        "requirements.txt": "a==1\n",
        "include/a.py": "A = 1\n",
        "include/run": "#!/bin/sh\n",
        "dags/d ä.py": "dag\n",
        "tests/test_a.py": "x\n",
        "docs/a.md": "x\n",
        ".gitignore": "/var/\n*.pyc\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    (tmp_path / "include" / "run").chmod(0o755)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


def test_what_runs_is_packed_as_it_was_committed(root):
    (root / "include" / "a.pyc").write_bytes(b"ignored")
    checkout = read_checkout(root)
    assert sorted(checkout.files) == [
        "dags/d ä.py",
        "include/a.py",
        "include/run",
        "pyproject.toml",
        "requirements.txt",
    ]
    assert checkout.files["include/a.py"] == b"A = 1\n"
    assert checkout.executable == {"include/run"}
    assert checkout.dirty == ()
    assert len(checkout.commit) == 40
    assert project(checkout) == ("9.8.7", ">=3.11")
    assert read_checkout(root) == checkout


def test_what_is_not_committed_is_named_and_refused(root):
    (root / "include" / "a.py").write_text("A = 2\n")
    (root / "dags" / "new.py").write_text("dag\n")
    (root / "include" / "run").unlink()
    names = ("dags/new.py", "include/a.py", "include/run")
    with pytest.raises(BundleError, match=", ".join(names)):
        read_checkout(root)
    checkout = read_checkout(root, allow_dirty=True)
    assert checkout.dirty == names
    assert checkout.files["include/a.py"] == b"A = 2\n"
    assert "dags/new.py" in checkout.files
    assert "include/run" not in checkout.files


def test_a_link_is_refused(root):
    (root / "include" / "b.py").symlink_to("a.py")
    with pytest.raises(BundleError, match=r"include/b\.py is a link"):
        read_checkout(root, allow_dirty=True)
    git(root, "add", "-A")
    git(root, "commit", "-qm", "a link")
    with pytest.raises(BundleError, match=r"include/b\.py is a link"):
        read_checkout(root)


def test_a_folder_that_is_no_checkout_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", os.fspath(tmp_path.parent))
    with pytest.raises(BundleError, match="no git checkout with a commit"):
        read_checkout(tmp_path)
