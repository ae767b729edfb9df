"""The Airflow DAGs of the use case flight_delays."""

from dags.factories import build_all
from include.use_cases.flight_delays.spec import USE_CASE

globals().update(build_all(USE_CASE))
