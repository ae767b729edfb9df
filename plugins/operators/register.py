"""A registered model as an Airflow asset event."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from airflow.sdk import Asset, BaseOperatorLink, Context

from plugins.links import MLFLOW_RUN, MLFLOW_VERSION
from plugins.operators.step import StepOperator
from plugins.run_context import step_context


class RegisterModelOperator(StepOperator):
    """Runs the registration step and emits the asset event that starts the deployment, carrying
    version and digest.

    :param asset: the challenger asset.
    """

    operator_extra_links: Collection[BaseOperatorLink] = (MLFLOW_RUN, MLFLOW_VERSION)

    def __init__(self, *, asset: Asset, **kwargs: Any) -> None:
        super().__init__(outlets=[asset], **kwargs)
        self.asset = asset

    def execute(self, context: Context) -> dict[str, Any]:
        """Register, then announce."""
        result: dict[str, Any] = super().execute(context)
        interval = step_context(context, self.use_case, self.process).interval
        context["outlet_events"][self.asset].extra = {
            "interval": interval.as_json(),
            "version": result["version"],
            "digest": result["digest"],
        }
        return result
