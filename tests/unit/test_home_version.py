"""A home says which version wrote to it, and one of a newer version is refused."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from include.errors import SettingsError
from include.home_version import FILE, VERSION, enter_home, require_no_newer, version_of
from include.settings import PROJECT_ROOT


def written_by(home: Path, version: str) -> Path:
    path = home / FILE
    path.write_text(json.dumps({"version": version}))
    return path


def test_it_is_the_projects_and_its_images() -> None:
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION
    compose = (PROJECT_ROOT / "docker" / "compose.yaml").read_text()
    assert set(re.findall(r"IMAGES_TAG:-([^}]+)}", compose)) == {VERSION}


def test_a_home_says_which_version_wrote_to_it(tmp_path: Path) -> None:
    assert version_of(tmp_path) is None
    enter_home(tmp_path)
    assert version_of(tmp_path) == VERSION
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_the_home_of_an_older_version_is_this_ones_from_now_on(tmp_path: Path) -> None:
    written_by(tmp_path, "0.0.9")
    enter_home(tmp_path)
    assert version_of(tmp_path) == VERSION


@pytest.mark.parametrize("newer", ["0.99.0", "7.0.1", "0.99.0.dev0"])
def test_the_home_of_a_newer_version_is_refused_and_left_as_it_is(
    tmp_path: Path, newer: str
) -> None:
    content = written_by(tmp_path, newer).read_bytes()
    with pytest.raises(SettingsError) as refused:
        enter_home(tmp_path)
    text = str(refused.value)
    assert f"{tmp_path} was written by Flightdeck {newer}, and this is {VERSION}" in text
    assert f"Use Flightdeck {newer} or newer; or go back to a backup" in text
    assert (tmp_path / FILE).read_bytes() == content


def test_versions_that_differ_in_the_third_part_share_all_formats(tmp_path: Path) -> None:
    later = ".".join([*VERSION.split(".")[:2], "999"])
    content = written_by(tmp_path, later).read_bytes()
    enter_home(tmp_path)
    assert (tmp_path / FILE).read_bytes() == content


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"version": "new"}', '{"version": null}'])
def test_a_file_that_says_no_version_is_refused_with_what_is_valid(
    tmp_path: Path, content: str
) -> None:
    (tmp_path / FILE).write_text(content)
    with pytest.raises(SettingsError, match=VERSION):
        enter_home(tmp_path)
    assert (tmp_path / FILE).read_text() == content


def test_what_says_no_version_is_no_newer_one() -> None:
    require_no_newer(None, "a backup")
