"""Which unit tests take long: they ingest, train, register or kill processes for real.

`make test-unit` leaves them out.
"""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent
SLOW = (
    "data/test_data_docs.py",
    "data/test_delivery_checks.py",
    "data/test_inference_log.py",
    "data/test_steps.py",
    "features/test_definitions.py",
    "features/test_online.py",
    "features/test_online_reader.py",
    "features/test_online_stores.py",
    "features/test_retrieval.py",
    "features/test_store.py",
    "monitoring/test_steps.py",
    "registry/test_inspection.py",
    "registry/test_register_kill.py",
    "registry/test_signing.py",
    "registry/test_skops_file.py",
    "release/test_checks.py",
    "scoring/test_partitions.py",
    "scoring/test_score_interval.py",
    "training/test_known_at.py",
    "training/test_reproduce.py",
    "training/test_steps.py",
    "training/test_tracking.py",
    "training/test_triggers.py",
    "training/test_tuning.py",
    "use_cases/test_flight_delays_features.py",
    "use_cases/test_flight_delays_source.py",
)
"""Modules, below this folder, that were measured at two seconds or more (`pytest tests/unit
--durations=0`).
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the modules of the list."""
    slow = {HERE / name for name in SLOW}
    for item in items:
        if item.path in slow:
            item.add_marker(pytest.mark.slow)
