"""One factory per process; `build_all` builds every DAG of a use case, that of reviews where it
names reviewers.
"""

from __future__ import annotations

from airflow.sdk import DAG

from dags.factories.alarms import build_alarms_dag
from dags.factories.batch_scoring import build_batch_scoring_dag
from dags.factories.decision_review import build_decision_review_dag
from dags.factories.deployment import build_deployment_dag, require_approval
from dags.factories.features import build_features_dag
from dags.factories.monitoring import build_monitoring_dag
from dags.factories.pods import place_steps
from dags.factories.rollback import build_rollback_dag
from dags.factories.training import build_training_dag
from include.processes.declarations import require_possible
from include.settings import Settings, load_settings
from include.spec import UseCase

FACTORIES = (
    build_features_dag,
    build_training_dag,
    build_deployment_dag,
    build_rollback_dag,
    build_batch_scoring_dag,
    build_monitoring_dag,
)


def build_all(use_case: UseCase) -> dict[str, DAG]:
    """All DAGs of the use case by DAG id, ready for `globals().update(...)`.

    Raises `SpecError` or `SettingsError`, which Airflow shows as the file's import error, for what
    cannot be.
    """
    settings = load_settings()
    require_approval(use_case, settings)
    require_possible(use_case, settings)
    dags = build_dags(use_case, settings)
    place_steps(use_case, settings, dags)
    return {dag.dag_id: dag for dag in dags}


def build_dags(use_case: UseCase, settings: Settings) -> list[DAG]:
    """All DAGs of the use case, whatever is said about where their steps run."""
    reviews = (build_decision_review_dag,) if use_case.review.reviewers else ()
    built = [build(use_case) for build in (*FACTORIES, *reviews)]
    return [*built, build_alarms_dag(use_case, settings)]
