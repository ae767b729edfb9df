from dataclasses import replace

import pytest

from include.release.analysis.base import AnalysisInput
from include.release.analysis.latency import latency
from include.spec import Shadow
from tests.unit.release.analysis.windows import case, challenger, champion, observed, one, release


@pytest.mark.parametrize(("slow", "outcome"), [(25, "passed"), (75, "refused")])
def test_rows_beyond_the_champions_p95_are_compared(slow, outcome):
    finding = one(latency(case(champion(slow=475), challenger(slow=slow, p95_ms=8.2))))
    assert finding.outcome == outcome
    assert "95th percentile 8.2 ms, of the champion 5 ms; more than 7 ms" in finding.reason


def test_a_burst_that_slows_both_aborts_nothing():
    assert one(latency(case(champion(slow=9_000), challenger(slow=480)))).outcome == "passed"


def test_without_a_measure_nothing_is_decided():
    unknown = AnalysisInput(replace(observed(), slow_ms=None), release())
    assert one(latency(unknown)).outcome == "not judged"


def test_a_shadow_runs_at_a_low_priority_and_is_not_timed():
    shadow = case(champion(share=1.0), challenger(share=0.0, role="shadow"), strategy=Shadow())
    assert latency(shadow) == []
