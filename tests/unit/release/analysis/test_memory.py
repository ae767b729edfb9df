from datetime import UTC, datetime, timedelta

import pytest

from include.release.analysis.memory import memory
from include.release.analysis.observed import MemorySample
from tests.unit.release.analysis.windows import case, one

START = datetime(2026, 1, 1, tzinfo=UTC)


def sampled(*megabytes, rows=1000, process="host-1"):
    return tuple(
        MemorySample(START + timedelta(seconds=at), process, int(size * 1e6), at * rows)
        for at, size in enumerate(megabytes)
    )


@pytest.mark.parametrize(
    ("megabytes", "outcome"),
    [
        ((300, 301, 300, 302, 301, 300, 301, 302), "passed"),
        ((300, 320, 340, 360, 380, 400, 420, 440), "refused"),
        # loaded and warmed up, then level
        ((300, 380, 420, 421, 420, 421, 421, 420), "passed"),
        # one jump, as of a large request
        ((300, 300, 300, 300, 300, 300, 300, 420), "passed"),
        # fast, but not much yet
        ((300, 307, 314, 321, 328, 335, 342, 349), "passed"),
    ],
)
def test_what_grows_on_and_on_is_a_leak(megabytes, outcome):
    assert one(memory(case(memory=sampled(*megabytes)))).outcome == outcome


def test_the_process_that_grows_is_named():
    level = sampled(*[300] * 8, process="host-1")
    leaks = sampled(300, 320, 340, 360, 380, 400, 420, 440, process="host-2")
    finding = one(memory(case(memory=(*level, *leaks))))
    assert (finding.outcome, finding.part) == ("refused", "host-2")
    assert finding.observed == pytest.approx(200.0)


def test_a_few_samples_decide_nothing():
    assert one(memory(case(memory=sampled(300, 900)))).outcome == "not judged"
    assert one(memory(case())).metric == "rows"
