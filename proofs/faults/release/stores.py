"""What a release reads is away, damaged or changed by hand: MLflow, its alias, its version, the
previous package.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from include.errors import FlightdeckError
from include.processes import deployment, rollout
from include.processes.release_results import StageName
from include.registry import versions
from include.registry.client import connect
from include.release.model_store import version_folder
from include.release.reconcile import notable, reconcile
from include.release.rollout.stages import stages_of
from include.settings import Settings
from proofs.faults.line import Line
from proofs.faults.release.versions import Drill
from proofs.faults.release.world import (
    BETTER,
    CHAMPION,
    FAST,
    Driver,
    answered,
    failed,
    look_until_decided,
)
from proofs.harness.damage.packages import change_model, flipped
from proofs.harness.endpoint import USE_CASE, Endpoint
from proofs.harness.tracking import TrackingServer

SHOWN = 200


def mlflow_down(driver: Driver, endpoint: Endpoint) -> Line:
    """A real tracking server is killed between selection and the rest of a canary; the alias
    follows when it is back.
    """
    server = TrackingServer(driver.settings)
    settings = driver.settings.model_copy(update={"mlflow_tracking_uri": server.url})
    try:
        with driver.traffic(endpoint).flowing() as traffic:
            server.start()
            context = driver.context(FAST, settings)
            params = {**context.run.params, "version": BETTER}
            context = replace(context, run=replace(context.run, params=params))
            selected = deployment.select_version(context)
            deployment.package_model(context, selected)
            started = driver.begin(BETTER, context)
            server.kill()
            away = not server.answers()
            for stage in stages_of(context.use_case.release):
                name = StageName(name=stage.name)
                rollout.begin_stage(started.context, *started.inputs, name)
                look_until_decided(started, name)
            promoted = deployment.promote_version(started.context, *started.inputs)
            back = driver.back(settings=settings)
            traffic.wait_for(20)
            server.start()
            repaired = _repairs(driver, settings)
    finally:
        server.kill()
    named = [promoted.alias_problem, back.alias_problem]
    return Line(
        "MLflow killed between the selection of a version and its canary, promotion and rollback",
        "it was away: True; version 2 promoted, then 1; both name the alias; the next"
        " reconciliation points it at 1; 0 failed requests",
        f"it was away: {away}; version {promoted.version} promoted, then {back.version};"
        f" {'both' if all(named) else 'not both'} name the alias; the next reconciliation points"
        f" it at {_alias(driver, driver.settings)}; {failed(traffic)}",
        f"{answered(traffic)}; {' '.join(repaired)[:SHOWN]}",
    )


def alias_moved(driver: Driver, endpoint: Endpoint) -> Line:
    """Somebody points MLflow's alias at another version; nothing that serves changes."""
    settings = driver.settings
    with driver.traffic(endpoint, callers=2).flowing() as traffic:
        versions.set_champion(settings, driver.world.use_case, BETTER)
        moved = _alias(driver, settings)
        traffic.wait_for(50)
        repaired = _repairs(driver, settings)
        traffic.wait_for(20)
    row = driver.ledger.rows(USE_CASE)[-1]
    return Line(
        "MLflow's alias champion moved by hand",
        "moved to 2, put back to 1 with a row repaired; versions [1] answered, 0 failed requests",
        f"moved to {moved}, put back to {_alias(driver, settings)} with a row {row.event};"
        f" versions {traffic.versions} answered, {failed(traffic)}",
        " ".join(repaired)[:SHOWN],
    )


def champion_deleted(driver: Driver, endpoint: Endpoint) -> Line:
    """The champion's version is deleted in MLflow: it is named, serves on, and can be gone back
    to.
    """
    settings = driver.settings
    client = connect(settings)
    with driver.traffic(endpoint, callers=2).flowing() as traffic:
        versions.set_champion(settings, driver.world.use_case, CHAMPION)
        client.delete_model_version(USE_CASE, str(CHAMPION))
        gone = versions.find_version(settings, USE_CASE, CHAMPION) is None
        named = [text for text in _repairs(driver, settings) if "was deleted in MLflow" in text]
        traffic.wait_for(20)
        driver.promote(BETTER)
        back = driver.back()
        traffic.wait_for(20)
    return Line(
        "the champion's version deleted in MLflow",
        "deleted: True, named: True; version 2 promoted, then back to 1; 0 failed requests",
        f"deleted: {gone}, named: {bool(named)}; version {_promoted(driver)} promoted, then back to"
        f" {back.version}; {failed(traffic)}",
        " ".join(named)[:SHOWN],
    )


def previous_package(name: str, damage: Callable[[Path], object]) -> Drill:
    """A release fails its smoke test while the previous version's package is gone or damaged in
    the store; the endpoint is started again afterwards.
    """

    def drill(driver: Driver, endpoint: Endpoint) -> Line:
        folder = version_folder(driver.settings, USE_CASE, CHAMPION)
        with driver.traffic(endpoint).flowing() as traffic:
            traffic.wait_for(20)
            damage(folder)
            outcome = _hurried_promotion(driver)
            endpoint.wait_for_version(CHAMPION)
            traffic.wait_for(20)
        row = driver.newest()
        endpoint.stop()
        endpoint.start()
        endpoint.wait_for("/readyz")
        return Line(
            f"a release fails its smoke test while the previous package is {name}",
            f"ReleaseError, rolled back to {CHAMPION}, which answers, also after a restart;"
            " 0 failed requests",
            f"{outcome}, {row.event.replace('_', ' ')} to {row.evidence.get('back_to')}, which"
            f" {'answers' if endpoint.model()['version'] == CHAMPION else 'does not answer'}, also"
            f" after a restart; {failed(traffic)}",
            f"{answered(traffic)}; {row.reason[:SHOWN]}",
        )

    return drill


def remove(folder: Path) -> None:
    """The package is gone."""
    shutil.rmtree(folder)


def flip_a_bit(folder: Path) -> None:
    """One byte of the model is another."""
    change_model(folder, flipped)


def _hurried_promotion(driver: Driver) -> str:
    serving = driver.world.use_case.serving.model_copy(update={"max_smoke_ms": 0.001})
    use_case = driver.world.use_case.model_copy(update={"serving": serving})
    hurried = Driver(replace(driver.world, use_case=use_case), driver.settings, driver.drill)
    try:
        hurried.promote(BETTER)
    except FlightdeckError as error:
        return type(error).__name__
    return "promoted"


def _repairs(driver: Driver, settings: Settings) -> tuple[str, ...]:
    """What a reconciliation says, as if the newest row were no release under way."""
    return notable(reconcile(settings, driver.world.use_case, settled_seconds=0.0))


def _alias(driver: Driver, settings: Settings) -> int | None:
    pointed = versions.champion(settings, driver.world.use_case)
    return None if pointed is None else pointed.version


def _promoted(driver: Driver) -> int:
    """The version that the last deployment promoted."""
    rows = [row for row in driver.ledger.rows(USE_CASE) if row.event == "promoted"]
    return [row for row in rows if "rolled_back" not in row.evidence][-1].version
