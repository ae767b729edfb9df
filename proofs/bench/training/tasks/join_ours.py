"""The point-in-time join by `include.features.retrieval`, with the definitions from Feast's
registry.
"""

from __future__ import annotations

from typing import Any

from include.catalogue import load_use_case
from include.features.retrieval import point_in_time
from proofs.bench.training.joins import measure
from proofs.bench.training.world import USE_CASE, bench_settings


def join(arguments: dict[str, Any]) -> dict[str, Any]:
    """Measure `point_in_time`."""
    settings, use_case = bench_settings(), load_use_case(USE_CASE)
    return measure(arguments, lambda frame: point_in_time(use_case, frame, settings))
