"""The meter counts what the answering processes use: processor time and memory, as metrics.

Import only inside the serving process.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from prometheus_client import Counter, Gauge

CPU_SECONDS = Counter("flightdeck_cpu_seconds", "Processor time of the answering processes.")
MEMORY_BYTES = Gauge(
    "flightdeck_memory_bytes",
    "Resident memory of the answering processes.",
    multiprocess_mode="livesum",
)
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class ResourceMeter:
    """Counts what this process has used. Use one object in one thread of it."""

    def __init__(self) -> None:
        self._counted = 0.0

    def count(self) -> None:
        """Bring both metrics up to date."""
        used = time.process_time()
        CPU_SECONDS.inc(used - self._counted)
        self._counted = used
        MEMORY_BYTES.set(int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES)
