"""The alarm of monitoring as an Airflow asset event."""

from __future__ import annotations

from plugins.operators.cause import AnnounceCauseOperator


class AlarmOperator(AnnounceCauseOperator):
    """Starts training when the verdict upstream is an alarm that the use case's triggers let
    through; ends well without an event otherwise.

    Why an alarm was suppressed (faulty data, daily limit, cool-down) is the task's result and a row
    of `<use_case>/triggers`.
    """
