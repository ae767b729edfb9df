"""The model store: what is published is what was evaluated, and the desired state is never half
written.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from include.errors import DigestMismatch, ServingError, SignatureError
from include.model.package import package_digest
from include.model.signing import attach_signature, sign_package
from include.release.model_store import (
    desired,
    desired_path,
    publish,
    set_desired,
    version_folder,
    withdraw,
)
from include.settings import Settings, load_settings


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    return load_settings({"FLIGHTDECK_HOME": str(tmp_path / "home")})


@pytest.fixture
def package(home: Settings, tmp_path: Path) -> tuple[Path, str]:
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "model.ubj").write_bytes(b"trees")
    digest = package_digest(folder)
    files = {"model.ubj": "0"}
    (folder / "digest.json").write_text(json.dumps({"digest": digest, "files": files}))
    attach_signature(folder, sign_package(home, folder, digest))
    return folder, digest


def test_publish_copies_the_package_and_repeats_without_change(
    home: Settings, package: tuple[Path, str]
) -> None:
    folder = publish(home, "flight_delays", package[0], 1, package[1])
    stamp = (folder / "model.ubj").stat().st_mtime_ns
    assert (
        publish(home, "flight_delays", package[0], 1, package[1])
        == folder
        == version_folder(home, "flight_delays", 1)
    )
    assert (folder / "model.ubj").stat().st_mtime_ns == stamp
    assert [path.name for path in folder.parent.iterdir()] == ["1"]


def test_publish_replaces_a_damaged_copy(home: Settings, package: tuple[Path, str]) -> None:
    folder = publish(home, "flight_delays", package[0], 1, package[1])
    (folder / "model.ubj").write_bytes(b"other trees")
    publish(home, "flight_delays", package[0], 1, package[1])
    assert (folder / "model.ubj").read_bytes() == b"trees"


def test_publish_refuses_a_package_with_another_digest(
    home: Settings, package: tuple[Path, str]
) -> None:
    (package[0] / "model.ubj").write_bytes(b"changed")
    with pytest.raises(DigestMismatch):
        publish(home, "flight_delays", package[0], 1, package[1])
    assert not version_folder(home, "flight_delays", 1).exists()


def test_publish_refuses_an_unsigned_package_and_one_signed_elsewhere(
    home: Settings, package: tuple[Path, str], tmp_path: Path
) -> None:
    elsewhere = load_settings({"FLIGHTDECK_HOME": str(tmp_path / "elsewhere")})
    attach_signature(package[0], sign_package(elsewhere, *package))
    with pytest.raises(SignatureError, match="Key mismatch"):
        publish(home, "flight_delays", package[0], 1, package[1])
    attach_signature(package[0], None)
    with pytest.raises(SignatureError, match="is not signed"):
        publish(home, "flight_delays", package[0], 1, package[1])
    assert not version_folder(home, "flight_delays", 1).exists()


def test_only_a_published_version_can_be_desired(home: Settings, package: tuple[Path, str]) -> None:
    assert desired(home, "flight_delays") is None
    with pytest.raises(ServingError, match="publish it first"):
        set_desired(home, "flight_delays", 1, package[1])
    publish(home, "flight_delays", package[0], 1, package[1])
    state = set_desired(home, "flight_delays", 1, package[1])
    assert desired(home, "flight_delays") == state
    assert (state.version, state.digest, state.folder) == (
        1,
        package[1],
        version_folder(home, "flight_delays", 1),
    )


def test_withdrawing_is_said_explicitly(home: Settings, package: tuple[Path, str]) -> None:
    publish(home, "flight_delays", package[0], 1, package[1])
    set_desired(home, "flight_delays", 1, package[1])
    withdraw(home, "flight_delays")
    assert desired(home, "flight_delays") is None
    assert desired_path(home, "flight_delays").exists()


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"version": 1}', '{"version": "x", "digest": "d", "folder": "f"}']
)
def test_a_broken_desired_state_is_named(home: Settings, content: str) -> None:
    path = desired_path(home, "flight_delays")
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(ServingError, match=r"desired\.json does not hold"):
        desired(home, "flight_delays")
