"""Times of an arm are added to its histogram as if each had been observed there."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Histogram, generate_latest

from serving.contract.metrics import _BUCKETS, Tally

TIMES = (0.0, 0.0002, 0.00021, 0.004, 0.25, 9.0, 10.0, 11.0)


def shown(*, by_tally: bool) -> str:
    # A name of its own: under BentoML two histograms of one name would share their numbers.
    name = f"seconds_{'by_tally' if by_tally else 'observed'}"
    registry = CollectorRegistry()
    histogram = Histogram(name, "Times.", buckets=_BUCKETS, registry=registry)
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
    return "\n".join(line for line in lines if "_created" not in line).replace(name, "seconds")


def test_a_tally_shows_what_the_histogram_would():
    expected = shown(by_tally=False)
    assert shown(by_tally=True) == expected
    assert 'seconds_bucket{le="0.0002"} 2.0' in expected
    assert 'seconds_bucket{le="+Inf"} 8.0' in expected
