"""What an image gets of the lock: enough, verbatim, and nothing that no image needs."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement

from cli.images.locked import chosen, lines_of, read_lock, starts_of, subset
from include.settings import PROJECT_ROOT

LOCK = (PROJECT_ROOT / "requirements.txt").read_text()
ENTRIES = read_lock(LOCK)
PACKAGES = tomllib.loads((PROJECT_ROOT / "docker" / "packages.toml").read_text())
IMAGES = list(PACKAGES["images"])
OWN = {"cli", "include", "serving", "feature_repo"}
STEPS = [f"include.processes.{path.stem}" for path in PROJECT_ROOT.glob("include/processes/*.py")]


def names_of(image: str) -> set[str]:
    """The packages of an image."""
    return {entry.name for entry in subset(image, PACKAGES, ENTRIES)}


def normal(name: str) -> str:
    """A package's name as the lock writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_lock_is_read_as_a_whole():
    pins = re.findall(r"^\S+==", LOCK, re.MULTILINE)
    assert len(ENTRIES) == len(pins) > 300
    assert all("--hash=sha256:" in "".join(entry.lines) for entry in ENTRIES)
    assert all(entry.needed_by for entry in ENTRIES)


@pytest.mark.parametrize("image", IMAGES)
def test_every_line_of_an_image_stands_in_the_lock(image):
    lines = list(lines_of(subset(image, PACKAGES, ENTRIES)))
    assert set(lines) <= set(LOCK.splitlines())
    assert lines[0].partition("==")[2]


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_has_all_that_its_packages_require(image):
    """What pip would find out: each requirement of each package, here on this Python."""
    names, environment = names_of(image), {**default_environment(), "extra": ""}
    missing = set()
    for name in names:
        try:
            required = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # locked for another Python or system
        for requirement in map(Requirement, required):
            if requirement.marker is None or requirement.marker.evaluate(environment):
                missing |= {normal(requirement.name)} - names
    assert missing == set(PACKAGES["left_out"]) & missing


def imported_at_the_top(*modules: str) -> set[str]:
    """The names of all that is imported when these modules are, but inside functions."""
    pending, seen, names = list(modules), set(), set()
    while pending:
        module = pending.pop()
        if module in seen:
            continue
        seen.add(module)
        path = PROJECT_ROOT / module.replace(".", "/")
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Import):
                targets = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                own = [f"{node.module}.{alias.name}" for alias in node.names]
                targets = [node.module, *(name for name in own if is_module(name))]
            else:
                continue
            pending.extend(target for target in targets if is_module(target))
            names |= {target.split(".")[0] for target in targets if not is_module(target)}
    return names - set(sys.stdlib_module_names) - {"__future__"}


def is_module(name: str) -> bool:
    """Whether it is one of ours."""
    path = PROJECT_ROOT / name.replace(".", "/")
    is_there = path.is_dir() or path.with_suffix(".py").is_file()
    return name.split(".", maxsplit=1)[0] in OWN and is_there


@pytest.mark.slow
@pytest.mark.parametrize(
    ("image", "modules"),
    [
        ("mlflow", ["cli.__main__", "cli.platform.component", "cli.images.healthcheck"]),
        (
            "serving",
            ["cli.__main__", "cli.platform.component", "cli.endpoint.serve", "serving.asgi"],
        ),
        ("serving", ["cli.endpoint.ship", "cli.endpoint.stream", "cli.endpoint.api_keys"]),
        ("step", ["include.processes.run", *STEPS]),
        ("airflow", ["cli.__main__", "cli.platform.component", "cli.runs.platform", *STEPS]),
    ],
)
def test_an_image_has_what_its_code_imports_at_its_start(image, modules):
    owners = importlib.metadata.packages_distributions()
    imported = imported_at_the_top(*modules)
    assert len(imported) > 3
    missing = {
        name: owners.get(name)
        for name in imported
        if not {normal(owner) for owner in owners.get(name, [name])} & names_of(image)
    }
    assert missing == {}


def test_what_an_extra_brings_comes_along():
    assert {"psycopg", "psycopg-binary", "redis", "hiredis"} <= names_of("serving")


def test_an_endpoint_carries_no_pipeline_and_a_step_no_airflow():
    serving, step, airflow = names_of("serving"), names_of("step"), names_of("airflow")
    assert not {"mlflow", "evidently", "great-expectations", "apache-airflow-core"} & serving
    assert not {name for name in step if name.startswith("apache-airflow")}
    assert step < airflow  # so that the airflow image adds to the layers of step
    assert not {"pytest", "schemathesis", "ruff"} & airflow


def test_every_choice_is_in_an_image_or_in_a_group_that_says_why_not():
    in_images = set().union(*map(names_of, IMAGES))
    grouped = {name for group in PACKAGES["groups"].values() for name in group}
    assert set(chosen(ENTRIES)) - in_images - grouped == set()
    assert grouped - set(chosen(ENTRIES)) == set()


def test_unknown_images_and_packages_are_refused():
    with pytest.raises(SystemExit, match=r"no image 'servng'.*serving"):
        starts_of("servng", PACKAGES, ENTRIES)
    wrong = {**PACKAGES, "images": {"serving": {"packages": ["feest"]}}}
    with pytest.raises(SystemExit, match="feest for serving"):
        subset("serving", wrong, ENTRIES)


def test_the_dockerfile_can_call_it_without_any_package(tmp_path):
    for source in ("cli/images/locked.py", "docker/packages.toml"):
        (tmp_path / source.rpartition("/")[2]).write_bytes((PROJECT_ROOT / source).read_bytes())
    done = subprocess.run(
        [sys.executable, "-I", "-S", "locked.py", "mlflow"],
        cwd=tmp_path,
        input=LOCK,
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.findall(r"^([a-z0-9-]+)==", done.stdout, re.MULTILINE) == [
        entry.name for entry in subset("mlflow", PACKAGES, ENTRIES)
    ]
