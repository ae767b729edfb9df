import io
import os
import re
import signal
import subprocess
import sys
from datetime import UTC, datetime

from cli.platform.stamped import copy_lines, stamp, stamped
from include.settings import PROJECT_ROOT

STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ")
NOW = datetime(2013, 4, 1, 12, 30, 5, 7_900, tzinfo=UTC)


def start(code, **options):
    return subprocess.Popen(
        stamped([sys.executable, "-c", code]),
        cwd=PROJECT_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )


def test_a_line_gets_the_time_in_utc_unless_it_has_one():
    assert stamp(b"hello\n", NOW) == b"2013-04-01T12:30:05.007Z hello\n"
    for line in (b"2013-04-01T12:30:05.123456Z [info] x\n", b"[2013-04-01T12:30:05+00:00] x\n"):
        assert stamp(line, NOW) == line
    # No zone: nobody knows whose time it is.
    assert stamp(b"2013-04-01T12:30:05 x\n", NOW).startswith(b"2013-04-01T12:30:05.007Z 2013")


def test_a_last_line_that_was_cut_off_ends():
    target = io.BytesIO()
    copy_lines(io.BytesIO(b"one\n\ntwo"), target)
    lines = target.getvalue().decode().split("\n")
    assert [line[25:] for line in lines] == ["one", "", "two", ""]


def test_the_command_keeps_its_pid_its_exit_code_and_both_of_its_streams():
    process = start(
        "import os, sys; print(os.getpid(), flush=True); print('no', file=sys.stderr); sys.exit(7)"
    )
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 7
    lines = output.splitlines()
    assert all(STAMP.match(line) for line in lines)
    assert [STAMP.sub("", line) for line in lines] == [str(process.pid), "no"]


def test_a_traceback_has_a_time_on_every_line():
    output, _ = start("def f(): raise ValueError('x')\nf()").communicate(timeout=30)
    assert len(output.splitlines()) > 3
    assert all(STAMP.match(line) for line in output.splitlines())


def test_what_is_written_after_the_signal_to_stop_is_not_lost():
    code = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (print('last'), sys.exit(0)))
print('ready', flush=True)
time.sleep(60)
"""
    process = start(code, start_new_session=True)
    assert process.stdout.readline().endswith("ready\n")
    # As supervisord stops it: the whole group.
    os.killpg(process.pid, signal.SIGTERM)
    output, _ = process.communicate(timeout=30)
    assert output.endswith("last\n")
    assert process.returncode == 0
