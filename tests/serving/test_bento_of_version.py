"""One Bento of the serving code and a registered version: `flightdeck bento build` serves it from
an empty home before it is there, and leaves none where that fails.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from cli.application import invoke
from include.errors import DigestMismatch, ServingError
from include.registry.client import connect
from include.registry.versions import version
from include.release.model_store import publish, set_desired, version_folder
from include.release.packed.contents import FOLDER, alone, read_packed, take_over
from include.settings import Settings
from include.use_cases.flight_delays.spec import USE_CASE
from proofs.harness.databases import mlflow_at
from proofs.harness.home import home_settings
from proofs.harness.registered import register
from proofs.harness.world import World

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:feast"),
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning"),
]


@pytest.fixture(scope="module")
def registry(world: World, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """MLflow on SQLite with version 1 registered and accepted, its files in a folder of ours."""
    folder = tmp_path_factory.mktemp("registry")
    uri = mlflow_at(folder / "mlflow.db")
    settings = world.settings.model_copy(update={"mlflow_tracking_uri": uri})
    client = connect(settings)
    client.create_experiment("flight_delays", artifact_location=(folder / "artifacts").as_uri())
    register(settings, world, 1)
    return settings


@pytest.fixture(scope="module")
def store(registry: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """BentoML's store with the Bento of version 1."""
    home = tmp_path_factory.mktemp("bentos")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("BENTOML_HOME", str(home))
        command = ["bento", "build", "flight_delays", "--version", "1", "--allow-dirty"]
        assert invoke(command, registry) == 0
    return home


@pytest.fixture
def source(registry: Settings, store: Path) -> Path:
    """The code in the Bento, found from the version by the registry's tag."""
    tag = version(registry, USE_CASE, 1).tags["bento"]
    return store / "bentos" / tag.replace(":", "/") / "src"


def test_the_version_leads_to_the_bento_and_the_bento_to_both_its_parts(
    registry: Settings, store: Path, source: Path, world: World
) -> None:
    registered = version(registry, USE_CASE, 1)
    described = yaml.safe_load((source.parent / "bento.yaml").read_text())
    labels = described["labels"]
    assert labels["model_digest"] == world.digests[1] == registered.digest
    assert labels["code_digest"] == registered.tags["bento_code_digest"]
    assert (labels["use_case"], labels["model_version"]) == ("flight_delays", "1")
    assert f"flight_delays-1-{labels['git_commit'][:12]}" in registered.tags["bento"]
    latest = (source.parents[1] / "latest").read_text()
    assert registered.tags["bento"] == f"flightdeck:{latest}"
    packed = read_packed(source)
    assert packed is not None
    assert (packed.version, packed.digest) == (1, world.digests[1])
    # The key that checks is in it, the one that signs is not.
    assert [path.name for path in (source / FOLDER / "keys").iterdir()] == ["signing.pub.pem"]
    assert not [path for path in source.rglob("*") if path.name == "signing.pem"]


def test_a_home_of_another_version_or_key_is_left_alone(
    source: Path, world: World, tmp_path: Path
) -> None:
    empty = home_settings(tmp_path / "empty")
    for _ in range(2):  # a restart changes nothing
        take_over(empty, source)
    assert version_folder(empty, "flight_delays", 1).is_dir()
    other = home_settings(tmp_path / "other")
    shutil.copytree(world.settings.keys_dir, other.keys_dir)
    publish(other, "flight_delays", world.packages[2], 2, world.digests[2])
    set_desired(other, "flight_delays", 2, world.digests[2])
    with pytest.raises(ServingError, match=r"version 1 .*has a plan for version 2.*of its own"):
        take_over(other, source)
    foreign = home_settings(tmp_path / "foreign")
    foreign.keys_dir.mkdir()
    (foreign.keys_dir / "signing.pub.pem").write_text("another")
    with pytest.raises(ServingError, match="trusts another key"):
        take_over(foreign, source)
    # What hosts share is not asked, and a checkout carries nothing.
    shared = empty.model_copy(update={"models_uri": "s3://models/flightdeck"})
    assert alone(shared, source).models_uri is None
    assert alone(shared) is shared


def test_a_tampered_package_leaves_no_bento(
    registry: Settings, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path))
    before = version(registry, USE_CASE, 1).tags
    artefacts = {
        path: path.read_bytes()
        for path in store.parent.glob("registry*/artifacts/**/package/metadata.json")
    }
    assert artefacts
    for path, content in artefacts.items():
        path.write_bytes(content.replace(b"flight_delays", b"flight_delayz", 1))
    try:
        with pytest.raises(DigestMismatch):
            invoke(["bento", "build", "flight_delays", "--version", "1", "--allow-dirty"], registry)
    finally:
        for path, content in artefacts.items():
            path.write_bytes(content)
    assert list(tmp_path.iterdir()) == []
    assert version(registry, USE_CASE, 1).tags == before
