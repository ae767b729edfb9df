"""What a package costs is its own work, whatever else the machine does."""

from __future__ import annotations

import time

from include.model.probe import _milliseconds


def test_time_in_which_others_had_the_processor_is_no_latency_of_the_model():
    """A pause of 20 ms stands for what a busy machine does to any measurement."""
    assert _milliseconds(lambda _: time.sleep(0.02), 20)[-1] < 10.0


def test_work_of_the_model_is():
    def work(_: int) -> None:
        started = time.thread_time()
        while time.thread_time() - started < 0.005:
            pass

    assert _milliseconds(work, 5)[0] >= 4.5
