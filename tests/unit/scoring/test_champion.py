"""Batch scoring and the gates take the champion of the release ledger, whatever somebody did in
MLflow.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from include.errors import DigestMismatch, RegistryError
from include.evaluation.champion import score_champion
from include.model.signing import attach_signature, sign_package
from include.registry import versions
from include.registry.client import connect
from include.release.in_service import released_version
from include.release.ledger import Ledger
from include.release.model_store import publish
from include.scoring.champion import champion_model
from include.settings import Settings, load_settings
from proofs.harness.databases import mlflow_at
from tests.unit.model.synthetic import USE_CASE, fitted_package, parcels

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
]
NAME = USE_CASE.name


def settings_of(home: Path) -> Settings:
    uri = mlflow_at(home / "mlflow.db")
    return load_settings({"FLIGHTDECK_HOME": str(home), "FLIGHTDECK_MLFLOW_TRACKING_URI": uri})


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A home whose version 2 was released, and its digest."""
    settings = settings_of(tmp_path_factory.mktemp("home"))
    folder = settings.home / "package"
    digest, _ = fitted_package(folder, parcels(1000))
    attach_signature(folder, sign_package(settings, folder, digest))
    publish(settings, NAME, folder, 2, digest)
    client = connect(settings)
    client.create_registered_model(NAME)
    for tag in ("another", digest):
        client.create_model_version(NAME, source=folder.as_uri(), tags={"digest": tag})
    versions.set_champion(settings, USE_CASE, 2)
    Ledger(settings).append("promoted", NAME, 2, digest, "somebody", "r", {})
    return settings.home, digest


@pytest.fixture
def settings(template: tuple[Path, str], tmp_path: Path) -> Settings:
    shutil.copytree(template[0], tmp_path / "home")
    return settings_of(tmp_path / "home")


CHANGES = ["none", "alias moved", "alias removed", "version deleted"]


def change_mlflow(settings: Settings, change: str) -> None:
    client = connect(settings)
    if change == "alias moved":
        client.set_registered_model_alias(NAME, "champion", "1")
    elif change == "alias removed":
        client.delete_registered_model_alias(NAME, "champion")
    elif change == "version deleted":
        client.delete_model_version(NAME, "2")


@pytest.mark.parametrize("change", CHANGES)
def test_the_gates_compare_with_the_released_version_whatever_somebody_did_in_mlflow(
    settings: Settings, change: str
) -> None:
    change_mlflow(settings, change)
    current = released_version(settings, USE_CASE)
    assert current is not None
    champion = score_champion(current, parcels(50), threads=1)
    assert (champion.version, champion.problem) == (2, "")
    assert champion.scores is not None
    assert champion.scores.shape == (50,)


@pytest.mark.parametrize("change", CHANGES)
def test_the_released_version_scores_whatever_somebody_did_in_mlflow(
    settings: Settings, template: tuple[Path, str], change: str
) -> None:
    change_mlflow(settings, change)
    registered, model = champion_model(settings, USE_CASE)
    assert (registered.version, registered.digest) == (2, template[1])
    assert model.metadata.use_case == NAME


def test_a_copy_that_was_altered_is_refused(settings: Settings) -> None:
    champion_model(settings, USE_CASE)
    copy = settings.home / "work" / "champions" / NAME / "2"
    (copy / "metadata.json").write_text("{}")
    with pytest.raises(DigestMismatch):
        champion_model(settings, USE_CASE)


def test_without_a_release_the_alias_says_it(settings: Settings) -> None:
    shutil.rmtree(settings.ledger_path.parent)
    (settings.keys_dir / "ledger.pub.pem").unlink()
    assert champion_model(settings, USE_CASE)[0].version == 2
    connect(settings).delete_registered_model_alias(NAME, "champion")
    with pytest.raises(RegistryError, match="has no champion"):
        champion_model(settings, USE_CASE)
