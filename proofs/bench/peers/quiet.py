"""Our endpoint with nothing recorded: no log rows, no commit, no metrics. What it wins is their
cost; never serve with it.

`python -m proofs.bench.peers.quiet PORT` serves it as `flightdeck serve` does the endpoint.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import serving.engine.batcher
import serving.engine.committer
import serving.engine.runtime
import serving.engine.worker
import serving.scoring.batch
from cli.endpoint.serve import serve
from include.settings import load_settings
from serving.engine.committer import Committer
from serving.engine.pending import Batch, resolve
from serving.scoring.scorer import Moment, Scorer


class Nothing:
    """Takes every observation and keeps none."""

    def observe(self, _: float) -> None:
        """Do nothing."""


NOTHING = Nothing()


def no_stage(*_: Any) -> Nothing:
    """Instead of a histogram."""
    return NOTHING


class NoCommitter(Committer):
    """Answers as soon as a batch is scored."""

    def add(self, use_case: str, batches: Sequence[Batch]) -> None:  # noqa: ARG002  # as its base
        """Give the answers."""
        for batch in batches:
            resolve(
                [
                    (job.future, answer, None)
                    for job, answer in zip(batch.jobs, batch.scored.answers, strict=True)
                ]
            )


class Unrecorded(NamedTuple):
    """Of a row of the log what an answer is made from."""

    prediction_id: str
    model_version: int


def no_row(
    _scorer: Scorer,
    identifier: str,
    _row: Mapping[str, Any],
    _features: Mapping[str, Any],
    _score: Any,
    _flags: Sequence[str],
    _arrived: float,
    moment: Moment,
    _explanation: Any,
) -> Unrecorded:
    """Instead of a row of the log."""
    return Unrecorded(identifier, moment.version)


for module in (
    serving.engine.committer,
    serving.engine.worker,
    serving.engine.runtime,
    serving.scoring.batch,
):
    module.stage = no_stage  # type: ignore[attr-defined]
serving.engine.batcher.Committer = NoCommitter  # type: ignore[attr-defined]
Scorer.logged = no_row  # type: ignore[method-assign,assignment]

from serving.asgi import application  # noqa: E402  (what it runs is replaced above)

__all__ = ["application"]

if __name__ == "__main__":
    chosen = load_settings()
    serve(chosen, chosen.host, int(sys.argv[1]), "proofs.bench.peers.quiet:application")
