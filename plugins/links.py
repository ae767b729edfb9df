"""Buttons on a task that lead to what it left in the other tools."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
from airflow.sdk import BaseOperator, BaseOperatorLink

from include.settings import Settings


def links_of(settings: Settings, use_case: str, *results: Mapping[str, Any]) -> dict[str, str]:
    """Addresses by the name of their button, from a task's result and the results that it read.

    The first result that knows an address wins.
    """
    addresses: dict[str, str] = {}
    for result in results:
        for name, address in _addresses(settings, use_case, result):
            addresses.setdefault(name, address)
    return addresses


def _addresses(
    settings: Settings, use_case: str, result: Mapping[str, Any]
) -> list[tuple[str, str]]:
    mlflow = settings.mlflow_page
    addresses: list[tuple[str, str]] = []
    if result.get("mlflow_run_id") and result.get("experiment_id"):
        run = f"#/experiments/{result['experiment_id']}/runs/{result['mlflow_run_id']}"
        addresses.append((MLFLOW_RUN.label, f"{mlflow}/{run}"))
    if result.get("version") and result.get("digest"):
        version = f"#/models/{use_case}/versions/{result['version']}"
        addresses.append((MLFLOW_VERSION.label, f"{mlflow}/{version}"))
    for key, label in (("html", REPORT.label), ("data_docs", DATA_DOCS.label)):
        address = settings.report_address(result.get(key))
        if address is not None:
            addresses.append((label, address))
    return addresses


@attrs.define
class ResultLink(BaseOperatorLink):
    """A button with the address that the operator kept when its step ended.

    :param label: the button's text, and the name of the address.
    """

    label: str

    @property
    def name(self) -> str:
        """The button's text."""
        return self.label

    @property
    def xcom_key(self) -> str:
        """Where Airflow keeps the address: `_link_mlflow_run`."""
        return f"_link_{self.label.lower().replace(' ', '_')}"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:  # noqa: ARG002  # Airflow's interface
        """The address; empty where the step left nothing of the kind."""
        return str(getattr(operator, "addresses", {}).get(self.label, ""))


MLFLOW_RUN, MLFLOW_VERSION = ResultLink("MLflow run"), ResultLink("MLflow version")
REPORT, DATA_DOCS = ResultLink("Report"), ResultLink("Data Docs")
