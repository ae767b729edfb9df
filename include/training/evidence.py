"""What a run leaves beside its model, right after the fit: what the model is made of, what its data
looked like, how it was queried.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from include.data_sets.golden import GoldenRecord
from include.data_sets.query_script import SCRIPT_FILE, training_query
from include.data_sets.snapshot import Snapshot
from include.data_sets.stored_splits import StoredSplits
from include.interval import Interval
from include.model.package import ScoringModel
from include.quality.summaries import SUMMARY_FILE, summarise, summarise_columns
from include.steps import StepContext
from include.training.architecture import (
    ARCHITECTURE_FILE,
    architecture_line,
    describe_architecture,
)
from include.training.artefacts import log_custom
from include.training.tracking import log_tags

if TYPE_CHECKING:
    from mlflow import MlflowClient


def log_evidence(
    client: MlflowClient,
    context: StepContext,
    mlflow_run_id: str,
    snapshot: Snapshot,
    golden: GoldenRecord | None,
    splits: Mapping[str, pl.DataFrame],
    model: ScoringModel,
) -> None:
    """Write `model_architecture.json`, `data_summary.json`, `training_set.sql` and the use case's
    own artefacts; again replaces them.
    """
    architecture = describe_architecture(context.use_case, model)
    client.log_dict(mlflow_run_id, architecture, ARCHITECTURE_FILE)
    client.log_dict(mlflow_run_id, _summary(splits), SUMMARY_FILE)
    script = training_query(
        context.use_case,
        context.settings,
        sources=snapshot.sources,
        window=Interval.parse(snapshot.start, snapshot.end),
        name=f"{snapshot.name}@{snapshot.version}",
        golden=None if golden is None else (golden.table, golden.version),
    )
    client.log_text(mlflow_run_id, script, SCRIPT_FILE)
    log_custom(client, mlflow_run_id, context.use_case, model, splits)
    log_tags(client, mlflow_run_id, {"flightdeck.architecture": architecture_line(architecture)})


def _summary(splits: Mapping[str, pl.DataFrame]) -> dict[str, Any]:
    """Facts of every column; of stored splits one column is in memory at a time."""
    if isinstance(splits, StoredSplits):
        return summarise_columns(list(splits), splits.columns, splits.column)
    return summarise(splits)
