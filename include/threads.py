"""The threads of numerical libraries, where several processes share the cores.

Idle OpenMP and OpenBLAS threads spin: on cores that others use too, a small training takes many
times the processor time that it takes with threads that sleep. What Flightdeck asks of BLAS is
small, and one thread gives the same sums on a host with any number of cores. XGBoost's threads are
the setting `training_threads`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType

THREADS: Mapping[str, str] = MappingProxyType(
    {"OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_NUM_THREADS": "1"}
)
"""Variables that the libraries read when they are loaded."""


def share_cores() -> None:
    """Set `THREADS` for this process and those that it starts, where nobody has set others; to be
    called before NumPy is imported.
    """
    for name, value in THREADS.items():
        os.environ.setdefault(name, value)
