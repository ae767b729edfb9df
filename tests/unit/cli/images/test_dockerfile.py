"""The Dockerfile: linted, and what an image must be whatever it holds."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from include.settings import PROJECT_ROOT

DOCKERFILE = PROJECT_ROOT / "docker" / "Dockerfile"
HADOLINT = Path(sys.executable).with_name("hadolint")
IMAGES = ("mlflow", "serving", "step", "airflow")


def stages() -> dict[str, tuple[str, list[str]]]:
    """Each stage with what it starts from and its instructions, continued lines joined."""
    text = re.sub(r"\\\n\s*", " ", DOCKERFILE.read_text())
    text = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)
    found: dict[str, tuple[str, list[str]]] = {}
    for block in re.split(r"^(?=FROM )", text, flags=re.MULTILINE)[1:]:
        first, *instructions = [line for line in block.splitlines() if line.strip()]
        _, origin, _, name = first.split()
        found[name] = (origin, instructions)
    return found


STAGES = stages()


def lines_of(image: str, keyword: str) -> list[str]:
    """The instructions of a kind in a stage itself."""
    return [line for line in STAGES[image][1] if line.startswith(f"{keyword} ")]


def lint(dockerfile: Path) -> subprocess.CompletedProcess[str]:
    """What hadolint says."""
    return subprocess.run([HADOLINT, dockerfile], capture_output=True, text=True, check=False)


def test_hadolint_finds_nothing():
    done = lint(DOCKERFILE)
    assert (done.returncode, done.stdout) == (0, "")


def test_hadolint_bites(tmp_path):
    worse = tmp_path / "Dockerfile"
    worse.write_text("FROM debian\nRUN apt-get install curl\nUSER root\n")
    assert "DL3006" in lint(worse).stdout


def test_every_base_is_pinned_by_digest_or_a_stage():
    (default,) = re.findall(r"^ARG PYTHON_IMAGE=(\S+)$", DOCKERFILE.read_text(), re.MULTILINE)
    assert re.search(r":[\w.-]+@sha256:[0-9a-f]{64}$", default)
    origins = {origin for origin, _ in STAGES.values()}
    assert origins - STAGES.keys() == {"${PYTHON_IMAGE}", "scratch"}


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_runs_as_a_user_with_a_fixed_number(image):
    assert lines_of(image, "USER") == ["USER 10001:10001"]
    after = STAGES[image][1][STAGES[image][1].index("USER 10001:10001") :]
    assert not [line for line in after if line.startswith(("RUN ", "COPY ", "ADD "))]


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_says_how_it_is_well_and_what_it_is(image):
    assert len(lines_of(image, "HEALTHCHECK")) == 1
    (label,) = lines_of(image, "LABEL")
    for name in ("title", "description", "licenses", "version", "revision", "created"):
        assert f"org.opencontainers.image.{name}=" in label
    assert f'"flightdeck-{image}"' in label


def test_no_image_starts_by_a_shell_or_an_entry_point():
    """The official chart of Airflow and pods bring their own commands, which replace CMD alone."""
    for image in IMAGES:
        (command,) = lines_of(image, "CMD")
        assert command.startswith('CMD ["')
    assert not [stage for stage in STAGES if lines_of(stage, "ENTRYPOINT")]


def test_every_package_is_installed_by_its_hash():
    installs = [line for _, lines in STAGES.values() for line in lines if "pip install" in line]
    assert len(installs) == 5
    assert [line for line in installs if "--require-hashes" not in line] == []


def test_no_secret_can_be_built_in():
    text = DOCKERFILE.read_text()
    assert not re.search(r"^(ARG|ENV) .*(PASSWORD|SECRET|TOKEN|KEY)", text, re.MULTILINE)
    ignored = (DOCKERFILE.parent / "Dockerfile.dockerignore").read_text().splitlines()
    rules = [line for line in ignored if line and not line.startswith("#")]
    assert rules[0] == "*"
    sources = {
        word
        for _, lines in STAGES.values()
        for line in lines
        if line.startswith("COPY ") and "--from" not in line
        for word in line.split()[1:-1]
    }
    allowed = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    assert all(source in allowed or source.split("/")[0] in allowed for source in sources)
    assert {source.split("/")[0] for source in allowed} == {s.split("/")[0] for s in sources}


@pytest.mark.parametrize("image", IMAGES)
def test_every_image_has_a_bill_of_materials(image):
    assert STAGES[f"{image}-listing"][0] == image
    assert STAGES[f"{image}-sbom"][0] == "scratch"
    assert f"/{image}.cdx.json" in "".join(STAGES[f"{image}-sbom"][1])
