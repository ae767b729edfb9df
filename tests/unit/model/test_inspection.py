"""What may not be in a package, found without opening it."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from include.model.inspection import inspect_package, unsafe_files
from include.model.package import MODEL_FILE, load_model
from tests.unit.model.synthetic import fitted_package, parcels

pytestmark = pytest.mark.slow  # measured at two seconds or more


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("model") / "package"
    return folder, fitted_package(folder, parcels())[0]


@pytest.fixture
def folder(original, tmp_path) -> Path:
    return Path(shutil.copytree(original[0], tmp_path / "package"))


def test_a_good_package_is_safe_and_measured(original):
    found = inspect_package(*original)
    assert (found.unsafe, found.problem) == ([], "")
    assert found.size_bytes == sum(path.stat().st_size for path in original[0].iterdir())
    assert found.measured is not None
    assert found.measured["golden_difference"] < 1e-7
    assert found.measured["libraries"] == {}
    assert 0 < found.measured["latency_p50_ms"] < found.measured["batch_ms"]


def pickled(folder: Path) -> None:
    (folder / "model.pkl").write_bytes(pickle.dumps({"a": 1}))


def code(folder: Path) -> None:
    (folder / "custom.py").write_text("raise SystemExit")


def link(folder: Path) -> None:
    (folder / MODEL_FILE).rename(folder.parent / "elsewhere.ubj")
    (folder / MODEL_FILE).symlink_to(folder.parent / "elsewhere.ubj")


def hidden_pickle(folder: Path) -> None:
    (folder / MODEL_FILE).write_bytes(pickle.dumps({"a": 1}))


def json_model(folder: Path) -> None:
    (folder / MODEL_FILE).write_bytes(bytes(load_model(folder).booster.save_raw("json")))


def subfolder(folder: Path) -> None:
    (folder / "code").mkdir()


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (pickled, "model.pkl: not one of"),
        (code, "custom.py: not one of"),
        (link, "model.ubj: a symbolic link"),
        (hidden_pickle, "model.ubj: its content is not UBJSON"),
        (json_model, "model.ubj: its content is not UBJSON"),
        (subfolder, "code: not one of"),
    ],
)
def test_what_a_package_may_not_hold_is_named(
    folder: Path, spoil: Callable[[Path], None], named: str
):
    spoil(folder)
    assert [finding[: len(named)] for finding in unsafe_files(folder)] == [named]
