"""What the endpoint logs through: sampling, and a disk that takes no more, with both policies."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from include.inference_log import writer as log_writer
from include.inference_log.drop_counter import DropCounter
from include.inference_log.log import (
    Spool,
    SpoolError,
    gaps_table,
    prediction_ids,
    ship,
    spool_path,
)
from include.inference_log.writer import LogWriter, is_sampled
from include.settings import PROJECT_ROOT, Settings, load_settings
from include.tables.store import TableStore
from tests.unit.inference_log.log_helpers import answered, log, served

FILLER = """
import resource, signal, sys
from include.inference_log.writer import LogWriter
from include.settings import load_settings
from tests.unit.inference_log.log_helpers import answered, log, served

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
settings = load_settings(
    {"FLIGHTDECK_HOME": sys.argv[1], "FLIGHTDECK_LOG_SEGMENT_BYTES": "1000000"}
)
writer = LogWriter(settings, {"flight_delays": served(log_full=sys.argv[2])})
writer.tend()
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
for number in range(200):
    log(writer, answered(10))
print(writer.error is not None, flush=True)
"""


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    return load_settings({"FLIGHTDECK_HOME": str(tmp_path)})


def logged(home: Settings) -> int:
    return ship(home, "flight_delays")["total"]


def full(home: Settings, policy: str) -> subprocess.CompletedProcess[str]:
    """2,000 rows, ten at a time, by a process that may write nothing behind the first 400 kB of a
    file: the kernel refuses it.
    """
    return subprocess.run(
        [sys.executable, "-c", FILLER, str(home.home), policy],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_sample_is_decided_by_the_id_and_is_as_large_as_declared(home: Settings) -> None:
    ids = prediction_ids(20_000)
    small, large = ([name for name in ids if is_sampled(name, share)] for share in (0.1, 0.3))
    assert set(small) <= set(large)
    assert abs(len(small) / 20_000 - 0.1) < 0.01
    assert not any(is_sampled(name, 0.0) for name in ids)
    writer = LogWriter(home, {"flight_delays": served(log_share=0.3)})
    writer.tend()
    rows = answered(300)
    log(writer, rows)
    assert logged(home) == sum(is_sampled(row.prediction_id, 0.3) for row in rows) > 0


@pytest.mark.slow
def test_without_space_nothing_is_accepted_by_default(home: Settings) -> None:
    result = full(home, "refuse")
    assert result.returncode == 1
    assert "SpoolError" in result.stderr
    assert logged(home) % 10 == 0
    assert 0 < logged(home) < 2000


@pytest.mark.slow
def test_without_space_answers_go_on_where_the_use_case_says_so_and_the_count_is_exact(
    home: Settings,
) -> None:
    result = full(home, "answer")
    assert (result.returncode, result.stdout) == (0, "True\n")
    missing = 2000 - logged(home)
    assert missing > 0
    assert DropCounter(spool_path(home).with_name("dropped.json")).totals() == {
        "flight_delays": missing
    }
    writer = LogWriter(home, {"flight_delays": served(log_full="answer")})
    writer.tend()  # there is space again: the gap is noted, once
    writer.tend()
    log(writer, answered(1))
    ship(home, "flight_delays")
    gaps = TableStore(home.tables_uri).read(gaps_table("flight_delays"))
    assert gaps.select("rows", "total").rows() == [(missing, missing)]
    assert logged(home) == 2001 - missing
    writer.close()


def test_a_size_limit_of_the_database_is_met_in_the_same_way(home: Settings) -> None:
    writer = LogWriter(home, {"flight_delays": served(log_full="answer")})
    writer.tend()
    assert writer._spool is not None
    pages = writer._spool._database.execute("PRAGMA page_count").fetchone()[0]
    writer._spool._database.execute(f"PRAGMA max_page_count = {pages + 5}")
    for _ in range(100):
        writer.append("flight_delays", answered(5), ())
    assert "full" in (writer.error or "")
    assert writer.dropped == {"flight_delays": 500 - logged(home)}
    assert not writer.refuses()
    writer._spool._database.execute(f"PRAGMA max_page_count = {pages + 5000}")
    writer.tend()
    assert writer.error is None
    writer.append("flight_delays", answered(5), ())
    assert logged(home) == 505 - writer.dropped["flight_delays"]


def test_a_refusing_log_is_not_ready_until_it_takes_rows_again(home: Settings) -> None:
    writer = LogWriter(home, {"flight_delays": served()})
    assert writer.refuses()
    writer.tend()
    assert not writer.refuses()
    lock = Spool(spool_path(home))
    lock._database.execute("BEGIN IMMEDIATE")
    with pytest.raises(SpoolError, match="locked"):
        writer.append("flight_delays", answered(1), ())
    assert writer.refuses()
    lock._database.execute("ROLLBACK")
    writer.tend()
    assert not writer.refuses()
    lock.close()


def test_a_process_that_writes_nothing_notices_that_space_runs_out(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = LogWriter(home, {"flight_delays": served()})
    writer.tend()
    monkeypatch.setattr(log_writer, "RESERVED_BYTES", 2**62)
    with pytest.raises(SpoolError, match="bytes free"):
        writer.tend()
    assert writer.refuses()
    monkeypatch.setattr(log_writer, "RESERVED_BYTES", 1)
    writer.tend()
    assert not writer.refuses()


def test_the_counter_is_exact_over_processes_and_survives_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "dropped.json"
    DropCounter(path).prepare()
    script = (
        "import sys; from pathlib import Path\n"
        "from include.inference_log.drop_counter import DropCounter\n"
        "counter = DropCounter(Path(sys.argv[1]))\n"
        "while True: counter.add('a', 3); print('counted', flush=True)"
    )
    counters = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(path)],
            cwd=PROJECT_ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    confirmed = 0
    for counter in counters:
        assert counter.stdout is not None
        confirmed += sum(counter.stdout.readline() == "counted\n" for _ in range(100))
    for counter in counters:
        counter.send_signal(signal.SIGKILL)
        confirmed += counter.communicate()[0].count("counted\n")
    total = DropCounter(path).totals()["a"]
    # A killed process may have counted once without having said so.
    assert 3 * confirmed <= total <= 3 * (confirmed + 2)
    assert path.stat().st_size == 4096
    assert json.loads(path.read_bytes()) == {"a": total}


def test_the_counter_counts_in_memory_where_no_file_can_be_made(tmp_path: Path) -> None:
    counter = DropCounter(tmp_path / "missing" / "dropped.json")
    assert counter.add("a", 2) == {"a": 2}
    assert counter.add("a", 3) == {"a": 5}
    counter.prepare()
    assert counter.totals() == {"a": 5}
    assert DropCounter(counter.path).totals() == {"a": 5}
