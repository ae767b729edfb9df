"""Features: ingest the interval into Delta tables, validate it, publish it, compute features,
refresh the online store.

Rows land in `landing/` first. Validation decides whether they are published to `raw/`; a refusal
stops the run, so nothing downstream ever reads a bad batch. Feature tables are computed from the
raw tables up to the interval's end and nothing later. Running the same interval again leaves the
same tables at the same versions. When enough labels became known since the last training, the last
task announces it and training starts.
"""

from __future__ import annotations

from airflow.sdk import DAG, Param, chain

from dags.factories.common import asset, build_dag, intervals
from include.spec import UseCase
from plugins.operators.gate import DataValidationOperator
from plugins.operators.new_data import NewDataOperator
from plugins.operators.step import StepOperator

PROCESS = "features"


def build_features_dag(use_case: UseCase) -> DAG:
    """`<use_case>__features`, on the use case's features cron."""
    names = {"use_case": use_case.name, "process": PROCESS}
    with build_dag(
        use_case,
        PROCESS,
        schedule=intervals(use_case, use_case.schedule.features_cron),
        description=(
            "Ingest, validate, publish, compute features, materialise online, count new labels."
        ),
        doc_md=__doc__,
        params={
            "materialise_until": Param(
                None,
                type=["null", "string"],
                format="date-time",
                title="Materialise until",
                description=(
                    "Bring the online store up to this moment; empty means the end of the data"
                    " interval."
                ),
            ),
        },
    ) as dag:
        chain(
            StepOperator(
                task_id="ingest_source", step="include.processes.features:ingest_source", **names
            ),
            DataValidationOperator(
                task_id="validate_data", step="include.processes.features:validate_data", **names
            ),
            StepOperator(
                task_id="publish_tables", step="include.processes.features:publish_tables", **names
            ),
            StepOperator(
                task_id="compute_features",
                step="include.processes.features:compute_features",
                outlets=[asset(use_case, "features")],
                **names,
            ),
            StepOperator(
                task_id="materialise_online",
                step="include.processes.features:materialise_online",
                **names,
            ),
            NewDataOperator(
                task_id="check_new_data",
                step="include.processes.features:check_new_data",
                asset=asset(use_case, "new_data"),
                **names,
            ),
        )
    return dag
