"""Running a DAG through Airflow's own runner: the same way as `make refusals` does."""

from datetime import UTC, datetime

from proofs.harness.dag_runs import DagRunResult, run_dag

__all__ = ["DagRunResult", "month", "run_dag"]


def month(number: int) -> datetime:
    """The first moment of a month of 2013."""
    return datetime(2013, number, 1, tzinfo=UTC)
