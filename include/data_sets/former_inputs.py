"""The inputs of an older version beside a training set of today.

A champion is compared with a candidate on the candidate's own rows. Where the specification has
dropped an input since, the set lacks it: it is looked up as the champion's own training would have.
"""

from __future__ import annotations

from datetime import datetime

import polars as pl

from include.errors import DataError
from include.features.retrieval import point_in_time
from include.features.transform import FeatureTransform
from include.features.version_interface import VersionInterface, as_read_by, undeclared_sources
from include.settings import Settings
from include.spec import UseCase
from include.tables.declared import read_declared
from include.tables.store import TableStore


def with_former_inputs(
    use_case: UseCase,
    settings: Settings,
    frame: pl.DataFrame,
    transform: FeatureTransform,
    *,
    created_by: datetime,
) -> pl.DataFrame:
    """The rows of a training set with every column that the model reads; themselves where they hold
    all.

    Raises `DataError` naming a column that no table declares any more, `FeatureStoreError` naming a
    feature that feature_repo does not define any more.
    """
    lacking = [name for name in transform.columns if name not in frame.columns]
    if not lacking:
        return frame
    interface = VersionInterface.of(0, transform, ())
    undeclared = undeclared_sources(use_case, interface)
    if undeclared:
        raise DataError(
            f"it reads {undeclared}, which the table {use_case.entity_table!r} does not declare any"
            " more; declare them, with max_null_share=1.0 where they are not delivered, until a"
            " version that does not read them is in service"
        )
    from_callers = {item.source for item in transform.inputs if item.view is None}
    sent = [name for name in lacking if name in from_callers]
    if sent:
        frame = frame.join(
            _entity_columns(use_case, settings, frame, sent), on=use_case.id_column, how="left"
        )
    features = [name for name in lacking if name not in sent]
    if not features:
        return frame
    question = as_read_by(use_case, [interface])
    views = [reference.replace(":", "__") for reference in question.feature_references]
    rows = frame.drop(views, strict=False)
    known = point_in_time(question, rows, settings, created_by=created_by)
    return frame.hstack(known.select(features))


def _entity_columns(
    use_case: UseCase, settings: Settings, frame: pl.DataFrame, names: list[str]
) -> pl.DataFrame:
    """The columns of the entity table for the rows' ids, one row an id."""
    first, last = frame[use_case.event_time].min(), frame[use_case.event_time].max()
    window = pl.col(use_case.event_time).is_between(pl.lit(first), pl.lit(last))
    return read_declared(
        TableStore(settings.tables_uri),
        use_case.table(use_case.entity_table),
        [use_case.id_column, *names],
        where=window,
    ).unique(use_case.id_column, keep="first")
