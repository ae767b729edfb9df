"""A file or folder is complete under its name or not there; nothing is replaced unasked."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from include.files import locked, publishing, shared, write, writing
from include.settings import PROJECT_ROOT

FORMER, CONTENT = b"former", b"new" * 10_000

# The child writes half, says so and waits to be killed.
WRITE_FILE = """
import sys, time
from pathlib import Path
from include.files import writing
with writing(Path(sys.argv[1])) as aside:
    aside.write_bytes(b"half")
    print("half", flush=True)
    time.sleep(60)
"""
WRITE_FOLDER = """
import sys, time
from pathlib import Path
from include.files import publishing
with publishing(Path(sys.argv[1])) as aside:
    (aside / "one").write_bytes(b"half")
    print("half", flush=True)
    time.sleep(60)
"""


def kill_in_the_middle(program: str, target: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(target)], stdout=subprocess.PIPE, cwd=PROJECT_ROOT
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"half\n"
    child.kill()
    child.communicate(timeout=30)
    assert child.returncode == -signal.SIGKILL


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def visible(folder: Path) -> list[str]:
    return [name for name in names(folder) if not name.startswith(".")]


def fail_in_the_middle(path: Path) -> None:
    path.write_bytes(b"half")
    raise ZeroDivisionError


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The paths behind every `os.fsync`, by the names they had at that moment."""
    paths: list[Path] = []
    fsync = os.fsync

    def observe(descriptor: int) -> None:
        paths.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", observe)
    return paths


def permissions(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_writer_killed_in_the_middle_leaves_no_file(tmp_path: Path) -> None:
    kill_in_the_middle(WRITE_FILE, tmp_path / "file")
    assert visible(tmp_path) == []


def test_a_writer_killed_in_the_middle_leaves_the_former_file(tmp_path: Path) -> None:
    write(tmp_path / "file", FORMER)
    kill_in_the_middle(WRITE_FILE, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == FORMER


def test_a_writer_killed_in_the_middle_leaves_no_folder(tmp_path: Path) -> None:
    kill_in_the_middle(WRITE_FOLDER, tmp_path / "folder")
    assert visible(tmp_path) == []


def test_a_writer_killed_in_the_middle_leaves_the_former_folder(tmp_path: Path) -> None:
    with publishing(tmp_path / "folder") as aside:
        (aside / "one").write_bytes(FORMER)
    kill_in_the_middle(WRITE_FOLDER, tmp_path / "folder")
    assert (tmp_path / "folder" / "one").read_bytes() == FORMER


def test_bytes_and_text_are_written_into_folders_that_are_made(tmp_path: Path) -> None:
    write(tmp_path / "a" / "bytes", CONTENT)
    write(tmp_path / "b" / "c" / "text", "Zürich\n")
    assert (tmp_path / "a" / "bytes").read_bytes() == CONTENT
    assert (tmp_path / "b" / "c" / "text").read_bytes() == "Zürich\n".encode()
    assert names(tmp_path / "a") == ["bytes"]


def test_the_name_is_free_until_the_body_ends(tmp_path: Path) -> None:
    with writing(tmp_path / "file") as aside:
        aside.write_bytes(CONTENT)
        assert not (tmp_path / "file").exists()
    assert names(tmp_path) == ["file"]


def test_a_body_that_raises_leaves_what_stood_there_and_nothing_beside(tmp_path: Path) -> None:
    write(tmp_path / "file", FORMER)
    with pytest.raises(ZeroDivisionError), writing(tmp_path / "file") as aside:
        fail_in_the_middle(aside)
    with pytest.raises(ZeroDivisionError), publishing(tmp_path / "folder") as aside:
        fail_in_the_middle(aside / "one")
    assert names(tmp_path) == ["file"]
    assert (tmp_path / "file").read_bytes() == FORMER


def test_a_file_is_never_replaced_unasked(tmp_path: Path) -> None:
    write(tmp_path / "key", FORMER, replace=False)
    with pytest.raises(FileExistsError):
        write(tmp_path / "key", CONTENT, replace=False, durable=True, mode=0o600)
    assert (tmp_path / "key").read_bytes() == FORMER
    assert names(tmp_path) == ["key"]


@pytest.mark.parametrize("there", ["folder", "file"])
def test_a_folder_is_never_put_where_something_stands_unasked(tmp_path: Path, there: str) -> None:
    target = tmp_path / "target"
    write(target / "one" if there == "folder" else target, FORMER)
    with pytest.raises(FileExistsError, match="target"), publishing(target, replace=False) as aside:
        (aside / "two").write_bytes(CONTENT)
    assert (target / "one" if there == "folder" else target).read_bytes() == FORMER
    assert names(tmp_path) == ["target"]


def test_a_replaced_folder_holds_nothing_of_the_former_one(tmp_path: Path) -> None:
    for name in ("one", "two"):
        with publishing(tmp_path / "folder") as aside:
            (aside / name).write_bytes(CONTENT)
    assert names(tmp_path / "folder") == ["two"]
    assert names(tmp_path) == ["folder"]


def test_of_many_writers_at_once_one_wins_whole(tmp_path: Path) -> None:
    def publish(number: int) -> None:
        write(tmp_path / "file", f"{number}" * 10_000)
        with publishing(tmp_path / "folder") as aside:
            for name in ("one", "two"):
                (aside / name).write_text(str(number))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(publish, range(64)))
    content = (tmp_path / "file").read_text()
    assert content == content[: len(content) // 10_000] * 10_000
    assert (tmp_path / "folder/one").read_text() == (tmp_path / "folder/two").read_text()
    assert names(tmp_path) == ["file", "folder"]


def test_a_durable_file_and_its_folder_are_synced(tmp_path: Path, synced: list[Path]) -> None:
    write(tmp_path / "file", CONTENT, durable=True)
    file, folder = synced
    assert file.parent == tmp_path
    assert file.name.startswith(".file."), "the content is synced before it has the name"
    assert folder == tmp_path


def test_a_durable_folder_is_synced_with_all_that_it_holds(
    tmp_path: Path, synced: list[Path]
) -> None:
    with publishing(tmp_path / "folder", durable=True) as aside:
        (aside / "inner").mkdir()
        (aside / "inner" / "one").write_bytes(CONTENT)
    *inside, parent = synced
    assert set(inside) == {aside, aside / "inner", aside / "inner" / "one"}
    assert parent == tmp_path


def test_nothing_is_synced_unasked(tmp_path: Path, synced: list[Path]) -> None:
    write(tmp_path / "file", CONTENT)
    with publishing(tmp_path / "folder"):
        pass
    assert synced == []


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444])
def test_the_permissions_are_those_asked_for(tmp_path: Path, mode: int) -> None:
    write(tmp_path / "file", CONTENT, mode=mode)
    assert permissions(tmp_path / "file") == mode


def test_nobody_else_reads_a_private_file_before_it_is_complete(tmp_path: Path) -> None:
    with writing(tmp_path / "key", mode=0o644) as aside:
        aside.write_bytes(CONTENT)
        assert permissions(aside) == 0o600


def test_without_permissions_a_file_has_the_usual_ones(tmp_path: Path) -> None:
    (tmp_path / "usual").write_bytes(b"")
    write(tmp_path / "file", CONTENT)
    assert permissions(tmp_path / "file") == permissions(tmp_path / "usual")


def test_a_lock_is_held_by_one_at_a_time_and_leaves_no_file(tmp_path: Path) -> None:
    path, inside, most = tmp_path / "locks" / "a.lock", [], []

    def work() -> None:
        for _ in range(20):
            with locked(path, seconds=30):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.0005)
                inside.pop()

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(work) for _ in range(4)]:
            done.result()
    assert (len(most), max(most)) == (80, 1)
    assert list(path.parent.iterdir()) == []


def test_a_lock_that_is_not_given_back_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with (
        locked(path, seconds=1),
        pytest.raises(TimeoutError, match=r"a\.lock is locked by another process"),
        locked(path, seconds=0.1),
    ):
        pass


def test_a_shared_lock_is_held_by_several_and_keeps_the_only_one_out(tmp_path: Path) -> None:
    path = tmp_path / "locks" / "a.lock"
    with shared(path, seconds=0.1):
        with shared(path, seconds=0.1), pytest.raises(TimeoutError), locked(path, seconds=0.1):
            pass
        with pytest.raises(TimeoutError), locked(path, seconds=0.1):
            pass
    with locked(path, seconds=0.1), pytest.raises(TimeoutError), shared(path, seconds=0.1):
        pass
    with shared(path, seconds=0.1):
        pass


def test_work_under_a_shared_lock_never_meets_the_work_of_one_alone(tmp_path: Path) -> None:
    path, folder = tmp_path / "a.lock", tmp_path / "staged"

    def use(number: int) -> None:
        for _ in range(20):
            with shared(path, seconds=30):
                folder.mkdir(exist_ok=True)
                (folder / str(number)).write_text("rows")
                assert (folder / str(number)).read_text() == "rows"

    def remove() -> None:
        for _ in range(20):
            with locked(path, seconds=30):
                for file in folder.glob("*"):
                    file.unlink()

    with ThreadPoolExecutor(4) as pool:
        work = [pool.submit(use, number) for number in range(3)]
        for done in [*work, pool.submit(remove)]:
            done.result()
