"""A version that its gates refused is let through by a named person only, who says why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cli.application import invoke
from include.errors import LedgerBroken, PlatformError, RegistryError, ReleaseError
from include.registry import versions
from include.registry.client import connect
from include.registry.logged_model import log_package
from include.release.ledger import Ledger
from include.release.rollout.overrides import Overridden, gate_override, let_be_tried
from include.settings import Settings
from include.spec import Release
from include.training.tracking import log_table
from include.verdict import GATE_COLUMNS, Finding
from proofs.harness.databases import mlflow_at
from proofs.harness.home import home_settings
from tests.unit.model.synthetic import USE_CASE, fitted_package, parcels

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning"),
]
PARCELS = USE_CASE.model_copy(update={"release": Release(overriders=("lead",))})
WHY = "the old one fails on snow"
ACCEPTED = Finding(rule="auc", metric="auc", subject="test", observed=0.8, limit=0.7, passed=True)
REFUSED = Finding(rule="size", observed=9, limit=5, passed=False, reason="too large")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = home_settings(tmp_path / "home")
    mlflow_at(settings.home / "mlflow.db")
    return settings


def training(settings: Settings, folder: Path, *findings: Finding) -> str:
    """A training whose candidate the gates judged so; its MLflow run."""
    digest, model = fitted_package(folder / "package", parcels(1000))
    client = connect(settings)
    location = (folder / "files").as_uri()
    experiment = client.create_experiment(PARCELS.name, artifact_location=location)
    run = client.create_run(experiment, tags={"flightdeck.digest": digest}).info.run_id
    log_package(
        client,
        experiment_id=experiment,
        mlflow_run_id=run,
        package=folder / "package",
        digest=digest,
        transform=model.transform,
        example=parcels(3),
    )
    if findings:
        rows = [finding.as_row(GATE_COLUMNS) for finding in findings]
        log_table(client, run, rows, "gates.json")
    return str(run)


def override(settings: Settings, candidate: str, **changes: Any) -> Overridden:
    arguments = {"person": "lead", "reason": WHY, "evidence": {"command": "test"}, **changes}
    return let_be_tried(settings, PARCELS, candidate, **arguments)


def test_a_refused_training_becomes_a_version_that_tells_whose_override_it_was(
    settings: Settings, tmp_path: Path
) -> None:
    run = training(settings, tmp_path, ACCEPTED, REFUSED)
    done = override(settings, run)
    row = done.entry
    assert (row.event, row.version, row.actor, row.reason) == ("override", 1, "lead", WHY)
    assert [finding["rule"] for finding in row.evidence["verdict"]["findings"]] == ["auc", "size"]
    assert row.evidence["verdict"]["accepted"] is False
    assert done.page_problem is None
    registered = versions.version(settings, PARCELS, 1)
    assert registered.tags["decision"] == "refused"
    assert registered.tags["release.override"] == f"by lead (row {row.number}): {WHY}"
    assert versions.challenger(settings, PARCELS) is None
    assert gate_override(Ledger(settings).rows(PARCELS.name), 1, registered.digest) == row
    again = override(settings, "1", reason="still so")
    assert (again.entry.version, again.entry.evidence["verdict"]) == (1, row.evidence["verdict"])


def test_nobody_else_nothing_unsaid_and_nothing_that_was_accepted(
    settings: Settings, tmp_path: Path
) -> None:
    run = training(settings, tmp_path, ACCEPTED)
    with pytest.raises(ReleaseError, match=r"'engineer' may not override a gate.*to lead\."):
        override(settings, run, person="engineer")
    for reason in ("", "   ", "no"):
        with pytest.raises(ReleaseError, match="needs a typed reason"):
            override(settings, run, reason=reason)
    with pytest.raises(ReleaseError, match="there is nothing to override"):
        override(settings, run)
    with pytest.raises(RegistryError, match="neither a version's number nor an MLflow run"):
        override(settings, "snow")
    with pytest.raises(RegistryError, match="no version 7"):
        override(settings, "7")
    assert Ledger(settings).rows(PARCELS.name) == []
    assert connect(settings).search_model_versions(f"name='{PARCELS.name}'") == []


def test_a_training_that_no_gate_judged_is_no_candidate(settings: Settings, tmp_path: Path) -> None:
    run = training(settings, tmp_path)
    with pytest.raises(RegistryError, match="it ended before them"):
        override(settings, run)


def test_a_ledger_that_somebody_changed_takes_no_override(
    settings: Settings, tmp_path: Path
) -> None:
    run = training(settings, tmp_path, REFUSED)
    override(settings, run)
    settings.ledger_path.unlink()
    with pytest.raises(LedgerBroken):
        override(settings, run)


def test_the_command_asks_who_it_is(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["override", "flight_delays", "3", "--reason", WHY]
    monkeypatch.setenv("LOGNAME", "reviewer")
    with pytest.raises(ReleaseError, match="may not override a gate of flight_delays"):
        invoke(arguments, settings)
    monkeypatch.setenv("FLIGHTDECK_PASSWORD", "guessed")
    with pytest.raises(PlatformError, match="Airflow does not answer"):
        invoke([*arguments, "--user", "reviewer"], settings)
