"""Running a DAG through Airflow's own runner: the same way as `make refusals` does."""

from proofs.harness.dag_runs import DagRunResult, run_dag

__all__ = ["DagRunResult", "run_dag"]
