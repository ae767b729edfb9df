"""The Airflow DAGs of the use case storm_status."""

from dags.factories import build_all
from include.use_cases.storm_status.spec import USE_CASE

globals().update(build_all(USE_CASE))
