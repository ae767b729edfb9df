"""A step that leaves a report for people."""

from __future__ import annotations

from collections.abc import Collection

from airflow.sdk import BaseOperatorLink

from plugins.links import REPORT
from plugins.operators.step import StepOperator


class ReportOperator(StepOperator):
    """Runs a step whose result names a page among the reports, and puts a button on the task that
    opens it.
    """

    operator_extra_links: Collection[BaseOperatorLink] = (REPORT,)
