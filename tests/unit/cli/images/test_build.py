"""The command `images`, as far as it goes without Docker; `make test-docker` builds them."""

from __future__ import annotations

import json
import re

import pytest
import typer

from cli.application import invoke
from cli.images.build import IMAGES, created, version
from include.errors import PlatformError
from include.settings import PROJECT_ROOT

CLIENT = """#!/bin/sh
echo "$@" >> "$0.calls"
case "$1 $2" in
  "image inspect")
    digests="\\"${3%:*}@sha256:22\\""
    printf '[{"Id": "sha256:11", "Size": 1500000, "RepoDigests": [%s]}]' "$digests" ;;
  "build --file") [ ! -e "$0.broken" ] || { echo "no space left" >&2; exit 1; } ;;
esac
"""


@pytest.fixture
def client(tmp_path, monkeypatch):
    """A client of Docker that writes down how it is called."""
    monkeypatch.setenv("FLIGHTDECK_HOME", str(tmp_path / "home"))
    program = tmp_path / "docker"
    program.write_text(CLIENT)
    program.chmod(0o755)
    return program


def test_images_are_pushed_and_listed_by_their_digest(client, tmp_path, capsys):
    invoke(["images", "serving", "--push", "registry.example.com/team/", "--docker", str(client)])
    (image,) = json.loads((tmp_path / "home" / "images" / "images.json").read_text())
    assert image["reference"] == "registry.example.com/team/serving@sha256:22"
    digests = tmp_path / "home" / "images" / "digests.json"
    assert json.loads(digests.read_text()) == {"serving": image["reference"]}
    assert (image["name"], image["bytes"]) == ("serving", 1_500_000)
    assert "registry.example.com/team/serving@sha256:22" in capsys.readouterr().out
    calls = client.with_name("docker.calls").read_text()
    assert re.search(r"--build-arg REVISION=[0-9a-f]{40}(-dirty)? ", calls)
    assert "--target serving-sbom --output type=local" in calls
    assert "PYTHON_IMAGE" not in calls


def test_another_base_is_the_callers_to_choose(client):
    invoke(["images", "step", "--base", "registry.local/python:3.13", "--docker", str(client)])
    calls = client.with_name("docker.calls").read_text()
    assert "--build-arg PYTHON_IMAGE=registry.local/python:3.13" in calls


def test_what_fails_is_said_by_docker_itself(client):
    client.with_name("docker.broken").touch()
    with pytest.raises(PlatformError, match="docker build failed:\nno space left"):
        invoke(["images", "mlflow", "--docker", str(client)])


def test_a_missing_client_and_a_wrong_name_are_refused(client, tmp_path):
    with pytest.raises(PlatformError, match="name it with --docker"):
        invoke(["images", "mlflow", "--docker", str(tmp_path / "none")])
    with pytest.raises(typer.BadParameter, match="did you mean 'serving'"):
        invoke(["images", "servin"])


def test_labels_come_from_the_checkout_and_not_from_the_clock():
    assert created() == created()
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", created())
    assert f'version = "{version()}"' in (PROJECT_ROOT / "pyproject.toml").read_text()


def test_every_image_has_its_stage():
    stages = re.findall(
        r"^FROM \S+ AS (\S+)$", (PROJECT_ROOT / "docker" / "Dockerfile").read_text(), re.MULTILINE
    )
    assert set(IMAGES) <= set(stages)
