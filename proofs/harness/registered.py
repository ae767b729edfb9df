"""Packages of a small real world as versions in MLflow, as if trainings had registered them."""

from __future__ import annotations

from include.features.retrieval import point_in_time
from include.model.package import load_model
from include.registry import versions
from include.registry.client import connect
from include.registry.logged_model import log_package
from include.settings import Settings
from include.verdict import Finding, GateVerdict
from proofs.harness.world import World

ACCEPTING = GateVerdict(findings=(Finding(rule="auc", passed=True),))


def register(settings: Settings, world: World, number: int) -> None:
    """Register the world's package `number`, which must be the registry's next version."""
    client, experiment = connect(settings), _experiment(settings, world.use_case.name)
    run = client.create_run(experiment).info.run_id
    package, digest = world.packages[number], world.digests[number]
    log_package(
        client,
        experiment_id=experiment,
        mlflow_run_id=run,
        package=package,
        digest=digest,
        transform=load_model(package).transform,
        example=point_in_time(world.use_case, world.entities.head(2), world.settings),
    )
    version = versions.register_candidate(settings, world.use_case, run, digest, ACCEPTING)
    if version != number:
        raise ValueError(f"package {number} became version {version}: register in their order")


def _experiment(settings: Settings, name: str) -> str:
    """MLflow's experiment of a use case, made on first use with its files in the home."""
    client = connect(settings)
    existing = client.get_experiment_by_name(name)
    if existing is not None:
        return str(existing.experiment_id)
    folder = settings.home / "mlflow" / "artifacts"
    return str(client.create_experiment(name, artifact_location=folder.as_uri()))
