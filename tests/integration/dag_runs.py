"""Running a DAG through Airflow's own runner: the same way as `make refusals` does."""

from datetime import UTC, datetime
from typing import Any

from proofs.harness.dag_runs import DagRunResult, run_dag

__all__ = ["DagRunResult", "asset_events", "month", "run_dag"]


def month(number: int) -> datetime:
    """The first moment of a month of 2013."""
    return datetime(2013, number, 1, tzinfo=UTC)


def asset_events(name: str) -> list[dict[str, Any]]:
    """The events of an asset in the order in which they were emitted."""
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        events = session.scalars(select(AssetEvent)).all()
        return [
            {"run": event.source_run_id, "extra": event.extra}
            for event in events
            if event.asset.name == name
        ]
