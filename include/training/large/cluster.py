"""XGBoost on a Dask cluster: every worker reads, transforms and bins parts of the training set of
its own, and the workers add up each other's histograms.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from include.data_sets.stored_splits import TimeRange
from include.errors import SettingsError
from include.problems.registry import strategy_of
from include.settings import Settings
from include.training.fitting import Fit, booster_parameters, finish_fit
from include.training.large.rows import BatchedRows
from include.training.trainer import Rows

if TYPE_CHECKING:
    import distributed
    import xgboost

CONNECT_SECONDS = 20
PARTS_OF_A_WORKER = 4


class ClusterTrainer:
    """Fits on the cluster of `settings`, or on one of processes of this machine."""

    def __init__(self, rows: BatchedRows, settings: Settings, *, max_bin: int) -> None:
        self._rows, self._settings, self._max_bin = rows, settings, max_bin

    def fit(self, parameters: Mapping[str, Any], *, callbacks: Sequence[Any] = ()) -> Fit:
        """Early stopping on the validation loss.

        Which worker gets which part is Dask's, so sums may differ in their last digits from one fit
        to the next.
        """
        import xgboost.dask

        use_case = self._rows.use_case
        with open_cluster(self._settings) as client:
            train = self._matrix(client, "train", None)
            validation = self._matrix(client, "validation", train)
            result = xgboost.dask.train(
                client,
                # Of threads every worker has its own.
                booster_parameters(use_case, parameters, threads=None),
                train,
                num_boost_round=use_case.training.boost_rounds,
                evals=[(train, "train"), (validation, "validation")],
                early_stopping_rounds=use_case.training.early_stopping_rounds,
                verbose_eval=False,
                callbacks=list(callbacks),
            )
        return finish_fit(use_case, result["booster"], result["history"])

    def _matrix(
        self, client: distributed.Client, split: str, like: xgboost.dask.DaskDMatrix | None
    ) -> xgboost.dask.DaskDMatrix:
        import dask
        import dask.array
        import xgboost.dask

        rows, width = self._rows, len(self._rows.transform.inputs)
        read, matrices, labels, weights = dask.delayed(_read), [], [], []
        for within in self._parts(client, split):
            part = read(rows, split, within)
            shape = (within.rows,)
            matrices.append(dask.array.from_delayed(part[0], (*shape, width), np.float32))
            labels.append(dask.array.from_delayed(part[1], shape, np.float64))
            weights.append(dask.array.from_delayed(part[2], shape, np.float64))
        weighed = split == "train" and rows.use_case.training.class_weights is not None
        return xgboost.dask.DaskQuantileDMatrix(
            client,
            dask.array.concatenate(matrices),
            dask.array.concatenate(labels),
            weight=dask.array.concatenate(weights) if weighed else None,
            feature_names=rows.transform.feature_names,
            feature_types=rows.transform.feature_types,
            enable_categorical=True,
            max_bin=self._max_bin,
            ref=like,
        )

    def _parts(self, client: distributed.Client, split: str) -> list[TimeRange]:
        """Parts of the split, several for each worker, so that none is left without."""
        splits, workers = self._rows.splits, client.scheduler_info(n_workers=-1)["workers"]
        total = sum(within.rows for within in splits.ranges(split))
        share = -(-total // (PARTS_OF_A_WORKER * len(workers)))
        return replace(splits, batch_rows=max(1, min(splits.batch_rows, share))).ranges(split)


def _read(
    rows: BatchedRows, split: str, within: TimeRange
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Matrix, labels and weights of a part; run by a worker."""
    part: Rows = rows.transformed(rows.splits.part(split, within))
    weights = strategy_of(rows.use_case).row_weights(part.labels)
    labels = part.labels.astype(np.float64)
    return part.matrix, labels, np.ones(within.rows) if weights is None else weights


@contextmanager
def open_cluster(settings: Settings) -> Iterator[distributed.Client]:
    """A client of the scheduler at `dask_scheduler`; without one, of a cluster of
    `training_threads` processes of this machine, which is ended with the body.

    Raises `SettingsError` where no scheduler answers or it has no worker.
    """
    import distributed

    if settings.dask_scheduler is None:
        # Whoever reaches a scheduler runs code on it: certificates made for this cluster keep the
        # machine's other users out.
        with (
            distributed.LocalCluster(
                n_workers=settings.training_threads,
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                protocol="tls",
                security=distributed.Security.temporary(),
                dashboard_address=None,
                memory_limit=None,
            ) as cluster,
            distributed.Client(cluster) as client,
        ):
            yield client
        return
    try:
        client = distributed.Client(settings.dask_scheduler, timeout=CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"FLIGHTDECK_DASK_SCHEDULER is {settings.dask_scheduler!r}, and no Dask scheduler"
            f" answers there: {error}. Start `dask scheduler` and its workers in this environment,"
            " or unset the variable: the training then starts processes of this machine."
        ) from error
    with client:
        if not client.scheduler_info(n_workers=-1)["workers"]:
            raise SettingsError(
                f"The Dask scheduler at {settings.dask_scheduler} has no worker: start `dask worker"
                f" {settings.dask_scheduler}` on hosts that reach {settings.tables_uri}."
            )
        yield client
