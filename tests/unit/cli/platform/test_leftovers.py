import subprocess
import sys
import time

import psutil
import pytest

from cli.platform.environment import PLATFORM_TAG
from cli.platform.leftovers import end_leftovers, find_leftovers
from cli.platform.state import PlatformState, write_state
from cli.platform.supervision import pid_file
from include.settings import PROJECT_ROOT, load_settings

SLEEPER = "import time; print('up', flush=True); time.sleep(120)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True);"
    " time.sleep(120)"
)
PARENT = (
    f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEPER!r}],"
    " process_group=0).wait()"
)


@pytest.fixture
def settings(tmp_path):
    settings = load_settings({"FLIGHTDECK_HOME": str(tmp_path)})
    write_state(
        settings,
        PlatformState(
            f"platform-of-{tmp_path}", time.time(), psutil.boot_time(), "127.0.0.1", 1, 2, 3
        ),
    )
    return settings


@pytest.fixture
def spawn():
    started = []

    def start(code, **options):
        process = subprocess.Popen(
            [sys.executable, "-c", code], start_new_session=True, stdout=subprocess.PIPE, **options
        )
        started.append(process)
        assert process.stdout.readline() == b"up\n"
        return process

    yield start
    for process in started:
        for child in (
            psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        ):
            child.kill()
        process.kill()
        process.wait()
        process.stdout.close()


def test_an_orphan_in_another_process_group_is_found_by_its_session(settings, spawn):
    leader = spawn(PARENT, cwd=PROJECT_ROOT)
    pid_file(settings).write_text(str(leader.pid))
    (grandchild,) = psutil.Process(leader.pid).children()
    leader.kill()
    leader.wait()
    assert [process.pid for process in find_leftovers(settings)] == [grandchild.pid]
    assert end_leftovers(find_leftovers(settings)) == 1
    assert not grandchild.is_running()


def test_a_process_in_a_session_of_its_own_is_found_by_its_tag(settings, spawn):
    mine = spawn(SLEEPER, env={PLATFORM_TAG: f"platform-of-{settings.home}"})
    spawn(SLEEPER, env={PLATFORM_TAG: "another platform"})
    assert [process.pid for process in find_leftovers(settings)] == [mine.pid]


def test_a_session_number_that_someone_else_uses_now_is_left_alone(settings, spawn, tmp_path):
    stranger = spawn(SLEEPER, cwd=tmp_path)
    pid_file(settings).write_text(str(stranger.pid))
    assert find_leftovers(settings) == []


def test_nothing_is_ours_after_a_reboot(settings, spawn):
    ours = spawn(SLEEPER, cwd=PROJECT_ROOT)
    pid_file(settings).write_text(str(ours.pid))
    assert len(find_leftovers(settings)) == 1
    write_state(
        settings, PlatformState("x", time.time(), psutil.boot_time() - 86_400, "127.0.0.1", 1, 2, 3)
    )
    assert find_leftovers(settings) == []


def test_who_ignores_the_request_is_killed(settings, spawn, monkeypatch):
    monkeypatch.setattr("cli.platform.leftovers.TERMINATE_SECONDS", 0.3)
    stubborn = spawn(STUBBORN)
    assert end_leftovers([psutil.Process(stubborn.pid)]) == 1
    assert not psutil.pid_exists(stubborn.pid)


def test_who_ends_while_it_is_looked_at_is_not_counted(spawn, monkeypatch):
    ended = spawn(SLEEPER)
    process = psutil.Process(ended.pid)
    ended.kill()
    ended.wait()
    monkeypatch.setattr(psutil.Process, "is_running", lambda _: True)
    assert end_leftovers([process]) == 0
