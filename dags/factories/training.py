"""Training: from point-in-time features to a registered challenger, through gates that are all on.

Started by monitoring's alarm and by enough new labels (asset events), by hand with a reason, and by
a cron where the specification names one. Why it runs is read from the table `<use_case>/triggers`:
the first task consumes every pending cause. The window ends where the run's interval ends. The
candidate is compared with the champion on the candidate's own test rows, both scored now. A refusal
fails the run with its reasons; an acceptance registers a version with the alias `challenger` and
starts the deployment.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, AssetOrTimeSchedule, Param, chain

from dags.factories.common import asset, build_dag, intervals
from include.errors import SpecError
from include.spec import UseCase
from plugins.callbacks import close_tracking_run
from plugins.operators.cause import OpenTrainingOperator
from plugins.operators.gate import DataValidationOperator, PromotionGateOperator
from plugins.operators.register import RegisterModelOperator
from plugins.operators.step import StepOperator

PROCESS = "training"
STEPS = "include.processes.training"
MOST_TRIALS = 200


def build_training_dag(use_case: UseCase) -> DAG:
    """`<use_case>__training`, on the assets of alarm and new data and, if declared, the use case's
    training cron.
    """
    names = {"use_case": use_case.name, "process": PROCESS}
    with build_dag(
        use_case,
        PROCESS,
        schedule=_schedule(use_case),
        description="Snapshot, validate, split in time, tune, train, evaluate, gates, register.",
        doc_md=__doc__,
        params=_params(use_case),
        default_args={"on_failure_callback": close_tracking_run},
    ) as dag:
        chain(
            OpenTrainingOperator(task_id="open_run", step=f"{STEPS}:open_run", **names),
            StepOperator(
                task_id="build_snapshot",
                step=f"{STEPS}:build_snapshot",
                inlets=[asset(use_case, "features")],
                **names,
            ),
            DataValidationOperator(
                task_id="validate_snapshot", step=f"{STEPS}:validate_snapshot", **names
            ),
            StepOperator(task_id="split_data", step=f"{STEPS}:split_data", **names),
            StepOperator(task_id="tune_model", step=f"{STEPS}:tune_model", **names),
            StepOperator(task_id="train_model", step=f"{STEPS}:train_model", **names),
            StepOperator(task_id="evaluate_model", step=f"{STEPS}:evaluate_model", **names),
            PromotionGateOperator(task_id="check_gates", step=f"{STEPS}:check_gates", **names),
            RegisterModelOperator(
                task_id="register_model",
                step=f"{STEPS}:register_model",
                asset=asset(use_case, "challenger"),
                **names,
            ),
        )
    return dag


def _schedule(use_case: UseCase) -> Any:
    events = asset(use_case, "alarm") | asset(use_case, "new_data")
    if use_case.schedule.training_cron is None:
        return events
    return AssetOrTimeSchedule(
        timetable=intervals(use_case, use_case.schedule.training_cron), assets=events
    )


def _params(use_case: UseCase) -> dict[str, Param]:
    """The form of a training that a person starts; its defaults are those of every other one."""
    if use_case.training.trials > MOST_TRIALS:
        raise SpecError(
            f"include/use_cases/{use_case.name}/spec.py: training.trials is"
            f" {use_case.training.trials}; the training DAG takes 1 to {MOST_TRIALS}: write one of"
            " these."
        )
    return {
        "until": Param(
            None,
            type=["null", "string"],
            pattern=r"^\d{4}-\d{2}-\d{2}([T ].+)?$",
            title="Train until",
            description=(
                f"End of the {use_case.training.window_days}-day window: a date such as 2013-04-01."
                " Empty: the run's own interval."
            ),
        ),
        "trials": Param(
            use_case.training.trials,
            type="integer",
            minimum=1,
            maximum=MOST_TRIALS,
            title="Tuning trials",
            description="Number of hyper-parameter trials.",
        ),
        # Airflow refuses a scheduled DAG whose parameter has no valid default, so the empty reason
        # is refused by the first task.
        "reason": Param(
            "",
            type="string",
            maxLength=500,
            title="Reason",
            description="Why this training. Required when a person starts it; kept with the run.",
        ),
    }
