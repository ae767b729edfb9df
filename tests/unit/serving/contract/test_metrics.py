"""Times of an arm are added to its histogram as if each had been observed there."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Histogram, generate_latest

from serving.contract.metrics import _BUCKETS, Tally

TIMES = (0.0, 0.0002, 0.00021, 0.004, 0.25, 9.0, 10.0, 11.0)


def shown(histogram_of: str, *, by_tally: bool) -> str:
    registry = CollectorRegistry()
    histogram = Histogram(histogram_of, "Times.", buckets=_BUCKETS, registry=registry)
    tally = Tally(histogram)
    for number, seconds in enumerate(TIMES):
        if not by_tally:
            histogram.observe(seconds)
        elif number % 2:
            tally.observe(TIMES[number - 1 : number + 1])
        if number % 3 == 0:
            tally.flush()
    tally.flush()
    lines = generate_latest(registry).decode().splitlines()
    return "\n".join(line for line in lines if "_created" not in line)


def test_a_tally_shows_what_the_histogram_would():
    expected = shown("seconds", by_tally=False)
    assert shown("seconds", by_tally=True) == expected
    assert 'seconds_bucket{le="0.0002"} 2.0' in expected
    assert 'seconds_bucket{le="+Inf"} 8.0' in expected
