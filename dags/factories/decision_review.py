"""Review of one decision: gather what is recorded about it, ask a named person to uphold or
overturn it, record the answer.

Started by hand with the prediction id of an answer that somebody contests, and why. The form shows
what was asked, the features, which version answered and why that one, what each input made of the
score, whether scoring it again gives the same answer, and earlier reviews. Only the people whom the
specification names (`review.reviewers`) may answer, and not whoever asked. The answer becomes a row
of the signed release ledger; `flightdeck decisions list` reads it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param

from dags.factories.common import RUN_TIMEOUT, build_dag
from include.decisions.right import right_to
from include.spec import UseCase
from plugins.operators.approval import RequestReviewOperator, ReviewGateOperator

PROCESS = "decision_review"
STEPS = "include.processes.decisions.review"
ASKING = "request_review"
AT_ONCE = 16


def build_decision_review_dag(use_case: UseCase) -> DAG:
    """`<use_case>__decision_review`, by hand only, several at once."""
    names: dict[str, Any] = {"use_case": use_case.name, "process": PROCESS, "uses_interval": False}
    with build_dag(
        use_case,
        PROCESS,
        schedule=None,
        description="A person upholds or overturns one decision.",
        doc_md=__doc__,
        max_active_runs=AT_ONCE,
        run_timeout=RUN_TIMEOUT + timedelta(hours=use_case.review.hours),
        params={
            "prediction_id": Param(
                None,
                type=["null", "string"],
                maxLength=32,
                title="Prediction id",
                description="Of the contested row; it stands in the answer.",
            ),
            "reason": Param(
                None,
                type=["null", "string"],
                maxLength=500,
                title="Reason",
                description="Why the decision is contested; kept in the ledger.",
            ),
        },
    ) as dag:
        RequestReviewOperator(
            task_id=ASKING,
            step=f"{STEPS}:request_review",
            right=right_to(use_case.review),
            **names,
        ) >> ReviewGateOperator(
            task_id="close_review",
            step=f"{STEPS}:close_review",
            request_task=ASKING,
            **names,
        )
    return dag
