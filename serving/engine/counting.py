"""What becomes of a batch is counted: its flags, and for every arm its requests, how long they
took, and what it could not score.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from serving.contract.metrics import ARM_ERRORS, ARM_FALLBACKS, arm_seconds
from serving.contract.question import Question
from serving.engine.pending import Batch
from serving.scoring.arm import Arm, Picked
from serving.scoring.batch import Scored, count_flags

Mirror = Callable[[str, Scored], None]
"""What gets the batches of a use case that were answered."""


def mirror_nothing(_use_case: str, _scored: Scored) -> None:
    """Do nothing with what was answered."""


def count_batch(use_case: str, batch: Batch) -> None:
    """Count a batch whose rows are in the log and whose answers may leave.

    A request whose rows fell on several arms counts for each of them.
    """
    count_flags(use_case, batch.scored.flags)
    now = time.perf_counter()
    if isinstance(batch.picked, Arm):
        arm_seconds(use_case, batch.picked.role, batch.picked.version).observe(
            [now - question.arrived for question in batch.questions]
        )
        if batch.picked.fallback is None:
            return
    else:
        _count_requests(use_case, batch.questions, batch.picked, now)
    _count_fallbacks(use_case, batch)


def _count_requests(
    use_case: str, questions: Sequence[Question], arms: Sequence[Arm], now: float
) -> None:
    seconds: dict[Arm, list[float]] = {}
    first = 0
    for question in questions:
        last = first + len(question.rows)
        for arm in (arms[first],) if last - first == 1 else set(arms[first:last]):
            seconds.setdefault(arm, []).append(now - question.arrived)
        first = last
    for arm, times in seconds.items():
        arm_seconds(use_case, arm.role, arm.version).observe(times)


def _count_fallbacks(use_case: str, batch: Batch) -> None:
    for position, row in enumerate(batch.scored.log_rows):
        if row.fallback is not None:
            arm = batch.picked if isinstance(batch.picked, Arm) else batch.picked[position]
            ARM_FALLBACKS.labels(use_case, arm.role, str(arm.version)).inc()


def count_error(use_case: str, picked: Picked) -> None:
    """Count a request that could not be answered."""
    for arm in {picked} if isinstance(picked, Arm) else set(picked):
        ARM_ERRORS.labels(use_case, arm.role, str(arm.version)).inc()
