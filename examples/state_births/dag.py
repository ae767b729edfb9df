"""The Airflow DAGs of the use case state_births."""

from dags.factories import build_all
from include.use_cases.state_births.spec import USE_CASE

globals().update(build_all(USE_CASE))
