"""Feast's own retrieval on its default offline store (dask), which is bounded by the caller: it is
slow and hungry.
"""

from __future__ import annotations

import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import polars as pl

from include.catalogue import load_use_case
from include.features.store import open_store
from include.tables.store import TableStore
from proofs.bench.training.world import USE_CASE, bench_settings


def join(arguments: dict[str, Any]) -> dict[str, Any]:
    """`get_historical_features` with our definitions over Parquet copies of the tables, the form in
    which dask reads them fastest.
    """
    warnings.simplefilter("ignore")
    from feast import FeatureStore, FeatureView, FileSource, RepoConfig

    settings, use_case = bench_settings(), load_use_case(USE_CASE)
    ours, tables = open_store(settings), TableStore(settings.tables_uri)
    entities = {entity.name: entity for entity in ours.list_entities()}
    with tempfile.TemporaryDirectory() as folder:
        config = RepoConfig(
            project="copy",
            provider="local",
            registry={"registry_type": "sql", "path": f"sqlite:///{folder}/registry.db"},
            online_store={"type": "sqlite", "path": f"{folder}/online.db"},
            offline_store={"type": "dask"},
            entity_key_serialization_version=3,
        )
        views = []
        for part in use_case.feature_tables:
            view, path = ours.get_feature_view(part.view), f"{folder}/{part.view}.parquet"
            tables.read(part.table).write_parquet(path)
            source = FileSource(
                name=f"{view.name}_copy",
                path=path,
                timestamp_field=view.batch_source.timestamp_field,
            )
            joined = [entities[name] for name in view.entities]
            views.append(
                FeatureView(
                    name=view.name, entities=joined, ttl=view.ttl, schema=view.schema, source=source
                )
            )
        store = FeatureStore(config=config)
        store.apply([*entities.values(), *views])
        questions = (
            pl.read_parquet(Path(arguments["path"]))
            .rename({use_case.event_time: "event_timestamp"})
            .to_pandas()
        )
        started = time.perf_counter()
        found = store.get_historical_features(
            entity_df=questions, features=list(use_case.feature_references), full_feature_names=True
        ).to_df()
        return {
            "seconds": time.perf_counter() - started,
            "rows": len(found),
            "asked": len(questions),
        }
