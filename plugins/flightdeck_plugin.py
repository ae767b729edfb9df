"""The only file that Airflow loads as a plugin: addresses of the other tools in Airflow's
navigation.
"""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import urlsplit

from airflow.plugins_manager import AirflowPlugin

from include.settings import MONITORING_PATH, load_settings
from plugins import alarms, run_note
from plugins.pages.lazy import LazyPage
from plugins.timetable import DataIntervalTimetable

SETTINGS = load_settings()


class FlightdeckPlugin(AirflowPlugin):
    """The timetable of data intervals, the notes of runs, the reports, links to the registry and to
    the endpoint, and a tab on every DAG with its use case's page over time.
    """

    name = "flightdeck"
    timetables: ClassVar[list[Any]] = [DataIntervalTimetable]
    listeners: ClassVar[list[Any]] = [run_note, alarms]
    fastapi_apps: ClassVar[list[Any]] = [
        {
            "name": "flightdeck",
            "app": LazyPage("plugins.pages.reports:reports_page"),
            "url_prefix": "/flightdeck",
        }
    ]
    external_views: ClassVar[list[Any]] = [
        {"name": "Models (MLflow)", "href": SETTINGS.mlflow_page, "destination": "nav"},
        {"name": "Endpoint", "href": f"{SETTINGS.serving_page}/", "destination": "nav"},
        {
            "name": "Monitoring",
            "href": f"{urlsplit(SETTINGS.airflow_page).path}{MONITORING_PATH}/{{DAG_ID}}",
            "destination": "dag",
            "url_route": "monitoring",
        },
    ]
