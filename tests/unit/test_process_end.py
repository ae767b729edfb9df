"""A process that ends at once says nothing of what it leaves."""

import subprocess
import sys

import pytest

from include.settings import PROJECT_ROOT

USED = """
import sys
from include.process_end import end_at_once
end_at_once()
if sys.argv[1] == "duckdb":
    import duckdb
    duckdb.connect().sql("SELECT 1 AS one").pl()
"""


@pytest.mark.parametrize("used", ["nothing", "duckdb"])
def test_nothing_is_printed_at_the_end(used):
    ended = subprocess.run(
        [sys.executable, "-c", USED, used],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (ended.stdout, ended.stderr) == ("", "")
