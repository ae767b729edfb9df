"""A released package is made whole again from whatever whole copy is left."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from include.errors import ReleaseError
from include.release.model_store import version_folder
from include.release.packages import package_problem, restore_package
from include.release.statement import state_version
from include.settings import Settings, load_settings
from proofs.harness.ports import free_port
from tests.unit.release.release_files import NAME, published


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A home whose MLflow is away."""
    address = f"http://127.0.0.1:{free_port()}"
    return load_settings(
        {"FLIGHTDECK_HOME": str(tmp_path), "FLIGHTDECK_MLFLOW_TRACKING_URI": address}
    )


def endpoint_copy(settings: Settings, version: int, digest: str) -> Path:
    copy = settings.serving_dir / NAME / "last_good" / digest
    shutil.copytree(version_folder(settings, NAME, version), copy)
    return copy


def test_a_whole_package_stays_as_it_is(settings: Settings) -> None:
    digest = published(settings, 1)
    assert package_problem(settings, NAME, 1, digest) is None
    assert restore_package(settings, NAME, 1, digest) is None


@pytest.mark.parametrize(
    "damage", ["removed", "one bit", "signature removed", "published as another version"]
)
def test_it_comes_back_from_the_endpoints_own_copy(settings: Settings, damage: str) -> None:
    digest = published(settings, 1)
    endpoint_copy(settings, 1, digest)
    folder = version_folder(settings, NAME, 1)
    if damage == "removed":
        shutil.rmtree(folder)
    elif damage == "one bit":
        content = bytearray((folder / "model.ubj").read_bytes())
        content[3] ^= 1
        (folder / "model.ubj").write_bytes(content)
    elif damage == "signature removed":
        (folder / "signature.json").unlink()
    else:
        state_version(settings, folder, NAME, 99, digest)
    assert package_problem(settings, NAME, 1, digest) is not None
    assert "the endpoint's copy" in (restore_package(settings, NAME, 1, digest) or "")
    assert package_problem(settings, NAME, 1, digest) is None


def test_a_damaged_copy_is_no_source_and_every_reason_is_named(settings: Settings) -> None:
    digest = published(settings, 1)
    (endpoint_copy(settings, 1, digest) / "model.ubj").write_text("others")
    shutil.rmtree(version_folder(settings, NAME, 1))
    with pytest.raises(ReleaseError, match=r"is missing.*endpoint's copy.*MLflow does not answer"):
        restore_package(settings, NAME, 1, digest)
