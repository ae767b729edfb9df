"""The model store: what is published is what was evaluated, and the desired state is never half
written.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from include.errors import DigestMismatch, ServingError, SignatureError
from include.model.package import package_digest
from include.model.signing import attach_signature, public_key, sign_package
from include.release.copies import copy_package, remove_other_copies
from include.release.model_store import (
    desired,
    publish,
    set_desired,
    version_folder,
    withdraw,
)
from include.release.plan import plan_path
from include.release.statement import check_statement
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
    assert plan_path(home, "flight_delays").exists()


def test_what_is_published_says_which_version_it_is(
    home: Settings, package: tuple[Path, str]
) -> None:
    folder = publish(home, "flight_delays", package[0], 4, package[1])
    key = public_key(home)
    check_statement(folder, key, "flight_delays", 4, package[1])
    with pytest.raises(SignatureError, match="published as version 4 of flight_delays"):
        check_statement(folder, key, "flight_delays", 99, package[1])
    with pytest.raises(SignatureError, match="not as version 4 of other"):
        check_statement(folder, key, "other", 4, package[1])
    statement = folder / "release.json"
    document = json.loads(statement.read_bytes())
    statement.write_text(json.dumps({**document, "version": 99}))
    with pytest.raises(SignatureError, match="was not signed by our key"):
        check_statement(folder, key, "flight_delays", 99, package[1])
    for content in ("", "[]", "{}"):
        statement.write_text(content)
        with pytest.raises(SignatureError, match="holds no statement"):
            check_statement(folder, key, "flight_delays", 4, package[1])
    # A package from before the statements gets its own when it is published again.
    statement.unlink()
    with pytest.raises(SignatureError, match=r"there is no release\.json"):
        check_statement(folder, key, "flight_delays", 4, package[1])
    publish(home, "flight_delays", package[0], 4, package[1])
    check_statement(folder, key, "flight_delays", 4, package[1])


def test_a_copied_package_keeps_its_number(home: Settings, package: tuple[Path, str]) -> None:
    folder = publish(home, "flight_delays", package[0], 4, package[1])
    published = publish(home, "flight_delays", folder, 5, package[1])
    check_statement(published, public_key(home), "flight_delays", 5, package[1])
    check_statement(folder, public_key(home), "flight_delays", 4, package[1])


def test_a_version_that_is_gone_is_put_back_from_the_endpoints_copy(
    home: Settings, package: tuple[Path, str]
) -> None:
    name, digest = "flight_delays", package[1]
    folder = publish(home, name, package[0], 4, digest)
    copy_package(home, name, 4, digest, folder)
    shutil.rmtree(folder)
    assert set_desired(home, name, 4, digest).folder == folder
    check_statement(folder, public_key(home), name, 4, digest)
    shutil.rmtree(folder)
    remove_other_copies(home, name, ())
    with pytest.raises(ServingError, match="publish it first"):
        set_desired(home, name, 4, digest)
