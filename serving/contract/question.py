"""A question is what the transports hand on: a request that has passed the checks of its use
case.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Question:
    """One validated request. `arrived` is `time.perf_counter()` at its arrival; `explain` asks for
    contributions by input.

    `key` is the request's own id, where the caller gave one, and `fingerprint` what tells it from
    another request under that id. `version` is the one that the caller wants to be answered by, of
    those in service; None leaves that to the plan.
    """

    use_case: str
    rows: list[dict[str, Any]]
    arrived: float = field(default_factory=time.perf_counter)
    explain: bool = False
    key: str | None = None
    fingerprint: str = ""
    version: int | None = None
