"""The only file that Airflow loads as a plugin: addresses of the other tools in Airflow's
navigation.
"""

from __future__ import annotations

from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin

from include.settings import load_settings

SETTINGS = load_settings()


class FlightdeckPlugin(AirflowPlugin):
    """Links to the registry and to the endpoint's documentation."""

    name = "flightdeck"
    external_views: ClassVar[list[Any]] = [
        {"name": "Models (MLflow)", "href": SETTINGS.mlflow_tracking_uri, "destination": "nav"},
        {"name": "Endpoint", "href": f"{SETTINGS.serving_url}/", "destination": "nav"},
    ]
