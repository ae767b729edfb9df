"""Enough new labels as an Airflow asset event."""

from __future__ import annotations

from plugins.operators.cause import AnnounceCauseOperator


class NewDataOperator(AnnounceCauseOperator):
    """Starts training when more labels became known since the last training than the use case's
    triggers ask for.
    """
