import threading
import time

import pytest

from cli.application import run
from cli.platform import logs


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("FLIGHTDECK_HOME", str(tmp_path))
    folder = tmp_path / "log"
    folder.mkdir()
    (folder / "serving.log").write_text("2013-04-01T00:00:01.000Z a\n2013-04-01T00:00:04.000Z d\n")
    (folder / "mlflow.log").write_text("2013-04-01T00:00:02.000Z b\n2013-04-01T00:00:03.000Z c\n")
    return folder


def test_one_log_is_shown_as_it_is(folder, capsys):
    assert run(["logs", "serving", "--lines", "1"]) == 0
    assert capsys.readouterr().out == "2013-04-01T00:00:04.000Z d\n"


def test_all_logs_are_shown_in_the_order_of_time_each_with_its_name(folder, capsys):
    assert run(["logs", "-n", "3"]) == 0
    assert [
        line.split("  2013")[0] + line[-1] for line in capsys.readouterr().out.splitlines()
    ] == [
        "mlflowb",
        "mlflowc",
        "servingd",
    ]


def test_a_log_that_is_not_there_is_answered_with_those_that_are(folder, capsys):
    assert run(["logs", "servin"]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "there are mlflow, serving. did you mean 'serving'?" in told
    assert run(["logs", "serving", "--lines", "-1"]) == 2


def test_without_a_platform_it_says_how_to_start_one(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FLIGHTDECK_HOME", str(tmp_path))
    assert run(["logs"]) == 0
    assert "`make up` starts the platform" in capsys.readouterr().out


def test_following_goes_on_over_a_rotation_and_shows_whole_lines_only(folder, monkeypatch):
    monkeypatch.setattr(logs, "POLL_SECONDS", 0.01)
    lines = logs.follow(folder, ["serving"])
    seen = []
    reader = threading.Thread(
        target=lambda: seen.extend(next(lines) for _ in range(3)), daemon=True
    )
    reader.start()
    time.sleep(0.1)
    path = folder / "serving.log"
    with path.open("a") as file:
        file.write("ha")
        file.flush()
        time.sleep(0.1)
        assert seen == []
        file.write("lf\n")
    while not seen:
        time.sleep(0.01)
    path.rename(folder / "serving.log.1")
    path.write_text("new\n")
    time.sleep(0.1)
    with path.open("a") as file:
        file.write("more\n")
    reader.join(10)
    assert seen == ["half", "new", "more"]
