"""A process that ends at once has called and written what it had to, and says nothing of what it
leaves.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from include.settings import PROJECT_ROOT

USED = """
import atexit
import sys
from include.process_end import end_at_once
exits_with = end_at_once()
atexit.register(print, "registered after")
if "duckdb" in sys.argv:
    import duckdb
    connection = duckdb.connect()
    connection.sql("SELECT 1 AS one").pl()
    cycle = [connection]
    cycle.append(cycle)
if "ends" in sys.argv:
    exits_with(3)
print("the last line", end="\\n")
"""


@pytest.mark.parametrize("ends", ["ends", "ends as Python does"])
@pytest.mark.parametrize("used", ["nothing", "duckdb"])
def test_all_is_called_and_written_and_nothing_else_is_printed(used, ends):
    ended = subprocess.run(
        [sys.executable, "-c", USED, used, ends],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == (3 if ends == "ends" else 0)
    assert ended.stdout == "the last line\nregistered after\n"
    assert ended.stderr == ""


LEAVES_OPEN = """
import sys
from include.process_end import end_at_once
exits_with = end_at_once()
text = open(sys.argv[1], "w")
text.write("not closed")
text.cycle = [text]
exits_with(0)
"""


def test_a_file_that_was_left_open_is_written(tmp_path):
    file = tmp_path / "notes.txt"
    subprocess.run([sys.executable, "-c", LEAVES_OPEN, str(file)], cwd=PROJECT_ROOT, check=True)
    assert file.read_text() == "not closed"


PRINTS = """
from include.process_end import end_at_once
exits_with = end_at_once()
print("a line")
exits_with(0)
"""


def test_a_full_disk_is_told_by_the_exit_code():
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-c", PRINTS],
            cwd=PROJECT_ROOT,
            env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert ended.returncode == 120
    assert "No space left on device" in ended.stderr
