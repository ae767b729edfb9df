"""XGBoost's external memory: the quantised training set lies on the disk, page by page, and a fit
reads it again for every level of every tree.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.problems.registry import strategy_of
from include.training.fitting import Fit, fit_booster
from include.training.large.rows import BatchedRows
from include.training.trainer import Rows

if TYPE_CHECKING:
    import xgboost


class ExternalTrainer:
    """Fits from pages below `folder`, which are removed afterwards."""

    def __init__(self, rows: BatchedRows, *, threads: int, max_bin: int, folder: Path) -> None:
        self._rows, self._threads, self._max_bin, self._folder = rows, threads, max_bin, folder

    def fit(self, parameters: Mapping[str, Any], *, callbacks: Sequence[Any] = ()) -> Fit:
        """Early stopping on the validation loss; the same rows give the same bytes."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="pages-", dir=self._folder) as pages:
            # The matrices, which own the files, end with that call and before the folder.
            return self._fit(parameters, Path(pages), callbacks)

    def _fit(self, parameters: Mapping[str, Any], pages: Path, callbacks: Sequence[Any]) -> Fit:
        train = self._matrix("train", pages, None)
        validation = self._matrix("validation", pages, train)
        return fit_booster(
            self._rows.use_case,
            parameters,
            train,
            validation,
            threads=self._threads,
            callbacks=callbacks,
        )

    def _matrix(self, split: str, pages: Path, like: xgboost.DMatrix | None) -> xgboost.DMatrix:
        import xgboost

        # Bins are the training rows' own; only these are weighed, as in memory.
        weighed = split == "train"
        return xgboost.ExtMemQuantileDMatrix(
            _iterator(self._rows, split, str(pages / split), weighed=weighed),
            nthread=self._threads,
            max_bin=self._max_bin,
            ref=like,
            enable_categorical=True,
        )


def _iterator(rows: BatchedRows, split: str, prefix: str, *, weighed: bool) -> Any:
    """XGBoost's iterator over the parts of a split; `prefix` names the files of its pages."""
    import xgboost

    problem, transform = strategy_of(rows.use_case), rows.transform

    class Parts(xgboost.core.DataIter):  # type: ignore[misc]  # XGBoost is untyped
        def __init__(self) -> None:
            self._batches: Iterator[Rows] = rows.batches(split)
            super().__init__(cache_prefix=prefix)

        def next(self, input_data: Callable[..., None]) -> bool:
            batch = next(self._batches, None)
            if batch is None:
                return False
            input_data(
                data=batch.matrix,
                label=batch.labels,
                weight=problem.row_weights(batch.labels) if weighed else None,
                feature_names=transform.feature_names,
                feature_types=transform.feature_types,
            )
            return True

        def reset(self) -> None:
            self._batches = rows.batches(split)

    return Parts()
