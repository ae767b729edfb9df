"""Buttons on a task that lead to what it left in the other tools."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import attrs
from airflow.sdk import BaseOperator, BaseOperatorLink

from include.settings import Settings

REPORTS_PATH = "/flightdeck/reports"
"""Where the page that serves reports is mounted in Airflow's own server."""


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
    mlflow = settings.mlflow_tracking_uri.rstrip("/")
    addresses: list[tuple[str, str]] = []
    if result.get("mlflow_run_id") and result.get("experiment_id"):
        run = f"#/experiments/{result['experiment_id']}/runs/{result['mlflow_run_id']}"
        addresses.append((MlflowRunLink.label, f"{mlflow}/{run}"))
    if result.get("version") and result.get("digest"):
        version = f"#/models/{use_case}/versions/{result['version']}"
        addresses.append((MlflowVersionLink.label, f"{mlflow}/{version}"))
    for key, label in (("html", ReportLink.label), ("data_docs", DataDocsLink.label)):
        address = report_address(settings, result.get(key))
        if address is not None:
            addresses.append((label, address))
    return addresses


def report_address(settings: Settings, path: object) -> str | None:
    """The address of a file among the reports in Airflow's own server; None of any other."""
    if not isinstance(path, str) or not Path(path).is_relative_to(settings.reports_dir):
        return None
    inside = Path(path).relative_to(settings.reports_dir).as_posix()
    return f"{settings.airflow_url.rstrip('/')}{REPORTS_PATH}/{inside}"


@attrs.define
class ResultLink(BaseOperatorLink):
    """A button with the address that the operator kept when its step ended."""

    label: ClassVar[str] = ""

    @property
    def name(self) -> str:
        """The button's text."""
        return self.label

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:  # noqa: ARG002  # Airflow's interface
        """The address; empty where the step left nothing of the kind."""
        return str(getattr(operator, "addresses", {}).get(self.label, ""))


@attrs.define
class MlflowRunLink(ResultLink):
    """The run in MLflow that a training writes to."""

    label: ClassVar[str] = "MLflow run"


@attrs.define
class MlflowVersionLink(ResultLink):
    """The registered version in MLflow."""

    label: ClassVar[str] = "MLflow version"


@attrs.define
class ReportLink(ResultLink):
    """Evidently's report of the interval."""

    label: ClassVar[str] = "Report"


@attrs.define
class DataDocsLink(ResultLink):
    """The page of the data's verdict."""

    label: ClassVar[str] = "Data Docs"
