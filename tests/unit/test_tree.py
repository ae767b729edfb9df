"""The tests mirror the tree: whoever knows where a module lies knows where its tests lie."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.settings import PROJECT_ROOT

UNIT = PROJECT_ROOT / "tests" / "unit"
BESIDE_INCLUDE = ("cli", "dags", "plugins", "proofs", "serving")
TESTED_THROUGH_OTHERS = {
    "governance": "experiments",  # written by training, read by the commands
}
RELEASED = re.compile(r"tests/upgrade/\d+\.\d+\.\d+\.tar\.xz")
MODULES = sorted((PROJECT_ROOT / "tests").rglob("*.py"))


def folders_of_tests() -> list[Path]:
    """Every folder of unit tests below tests/unit."""
    return sorted({path.parent for path in UNIT.rglob("test_*.py")} - {UNIT})


def mirrored(folder: Path) -> Path:
    """The folder whose code the tests of a folder are about."""
    parts = folder.relative_to(UNIT).parts
    home = PROJECT_ROOT if parts[0] in BESIDE_INCLUDE else PROJECT_ROOT / "include"
    return home.joinpath(*parts)


def rooms() -> Iterator[str]:
    """Every package of include/ that has code."""
    for folder in sorted((PROJECT_ROOT / "include").iterdir()):
        if any(path.name != "__init__.py" for path in folder.rglob("*.py")):
            yield folder.name


def names_imported(module: Path) -> Iterator[str]:
    """Every module that a test module imports names from."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("folder", folders_of_tests(), ids=lambda path: str(path.relative_to(UNIT)))
def test_every_folder_of_unit_tests_has_its_counterpart(folder):
    code = mirrored(folder)
    assert any(code.glob("*.py")) or any(code.glob("*/*.py")), (
        f"{folder.relative_to(PROJECT_ROOT)} tests {code.relative_to(PROJECT_ROOT)}, which is not"
        " there; move the tests to where the code went"
    )


@pytest.mark.parametrize("room", [*rooms(), *(f"../{name}" for name in ("cli", "serving"))])
def test_every_room_has_unit_tests(room):
    name = TESTED_THROUGH_OTHERS.get(Path(room).name, Path(room).name)
    assert any((UNIT / name).rglob("test_*.py")), f"{name} has no tests below tests/unit/{name}"


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PROJECT_ROOT)))
def test_helpers_live_in_modules_of_their_own(module):
    taken = [
        name
        for name in names_imported(module)
        if name.startswith("tests.") and name.rpartition(".")[2].startswith(("test_", "conftest"))
    ]
    assert taken == [], f"{taken}: move what others use into a module beside it"


def test_only_pictures_of_documents_and_homes_of_releases_are_no_text():
    """What a run left in the checkout, such as a database, is committed with the next change."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True
    )
    paths = [Path(name) for name in listed.stdout.split("\0") if name]
    assert len(paths) > 500
    binary = [
        str(path)
        for path in paths
        if path.parent != Path("docs/images")
        and not RELEASED.fullmatch(str(path))
        and b"\0" in (PROJECT_ROOT / path).read_bytes()
    ]
    assert binary == []
