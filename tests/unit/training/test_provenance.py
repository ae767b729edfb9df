from __future__ import annotations

import subprocess

from include.training.folders import work_folder
from include.training.provenance import UNKNOWN, code_commit, library_versions


def git(folder, *arguments):
    identity = ["-c", "user.name=T", "-c", "user.email=t@example.org"]
    return subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


def test_the_commit_is_named_and_changes_mark_it(tmp_path):
    git(tmp_path, "init", "-q")
    (tmp_path / "a.txt").write_text("a")
    git(tmp_path, "add", "a.txt")
    git(tmp_path, "commit", "-qm", "a")
    head = git(tmp_path, "rev-parse", "HEAD")
    assert code_commit(tmp_path) == head
    (tmp_path / "a.txt").write_text("b")
    assert code_commit(tmp_path) == f"{head}-dirty"


def test_an_image_says_of_which_commit_it_was_made(tmp_path):
    (tmp_path / "REVISION").write_text("0123abcd-dirty\n")
    assert code_commit(tmp_path) == "0123abcd-dirty"


def test_without_git_the_commit_is_unknown(tmp_path, monkeypatch):
    assert code_commit(tmp_path) == UNKNOWN
    monkeypatch.setenv("PATH", str(tmp_path))
    assert code_commit() == UNKNOWN


def test_libraries_are_those_installed():
    import xgboost

    assert library_versions()["xgboost"] == xgboost.__version__


def test_run_ids_that_differ_only_in_forbidden_characters_get_folders_of_their_own(settings):
    folders = {work_folder(settings, "parcels", run_id) for run_id in ("a:b", "a+b", "a_b")}
    assert len(folders) == 3
    assert all(folder.parent == settings.home / "work" / "parcels" for folder in folders)
