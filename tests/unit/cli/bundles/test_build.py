"""A bundle is built of a commit, holds all that runs, and says what it compiles to."""

import json
import shutil
import subprocess
import sys

import pytest

from cli.application import run
from cli.bundles.build import build, models_in_service, read_images
from cli.platform.environment import process_environment
from include.bundles.manifest import CONTENTS
from include.bundles.unpacked import unpack
from include.catalogue import names
from include.errors import BundleError
from include.model.signing import attach_signature, sign_package
from include.release.ledger import Ledger
from include.release.model_store import publish
from include.steps import step_names
from include.training.provenance import code_commit, lock_digest
from proofs.harness.databases import mlflow_at
from tests.unit.bundles.made import home_of, tiny_bundle
from tests.unit.model.synthetic import fitted_package, parcels

pytestmark = pytest.mark.slow
DIGEST = "sha256:" + "a" * 64


def test_the_command_builds_the_same_bytes_of_the_same_commit(built, checkout, staging, tmp_path):
    """Later, in a process of its own, with other times on all files."""
    for path in (checkout / "include").rglob("*.py"):
        path.touch()
    environment = {
        "FLIGHTDECK_HOME": str(staging.home),
        "FLIGHTDECK_BUNDLE_REGISTRY": str(tmp_path / "registry"),
        "PYTHONPATH": str(checkout),
    }
    file = tmp_path / "it.tar"
    done = subprocess.run(
        [sys.executable, "-m", "cli", "bundle", "build", "--push", f"--output={file}"],
        cwd=checkout,
        env=process_environment(environment),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert file.read_bytes() == built.archive
    assert (tmp_path / "registry" / f"{built.version}.tar").read_bytes() == built.archive


def test_it_holds_what_runs_and_nothing_else(built):
    parts = {name if name in CONTENTS else name.partition("/")[0] for name in built.files}
    assert parts == set(CONTENTS)
    assert {"dags/flight_delays.py", "include/use_cases/flight_delays/data.py"} <= set(built.files)
    assert not [name for name in built.files if name.startswith(("tests/", "proofs/", "var/"))]


def test_it_says_what_every_task_runs_and_what_it_waits_for(built):
    manifest = built.manifest
    assert set(manifest.specifications) == set(names())
    training = manifest.dags["flight_delays__training"]
    assert training["train_model"].steps == ("training:train_model",)
    assert training["train_model"].upstream == ("tune_model",)
    assert training["check_gates"].operator == "plugins.operators.gate.PromotionGateOperator"
    partition = manifest.dags["flight_delays__batch_scoring"]["score_partition"]
    assert partition.steps == ("batch_scoring:score_partition",)
    steps = {
        step for tasks in manifest.dags.values() for task in tasks.values() for step in task.steps
    }
    assert steps <= step_names()


def test_unpacked_it_is_the_commit_that_it_was_built_from(built, staging):
    """Beside no git and in a folder of another checkout alike."""
    root = unpack(staging, built)
    assert code_commit(root) == built.manifest.commit
    assert lock_digest(root) == built.manifest.lock
    done = subprocess.run(
        [sys.executable, "-m", "cli", "declarations"],
        cwd=root,
        env=process_environment({"FLIGHTDECK_HOME": str(staging.home), "PYTHONPATH": str(root)}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_what_declares_what_cannot_be_is_not_built(checkout, staging):
    spec = checkout / "include" / "use_cases" / "flight_delays" / "spec.py"
    text = spec.read_text()
    spec.write_text(text.replace("window_days=", "window_dayz="))
    try:
        with pytest.raises(BundleError, match=r"flight_delays.*window_dayz"):
            build(staging, images={}, allow_dirty=True, root=checkout)
        with pytest.raises(BundleError, match=r"is not as committed: include/use_cases/flight_de"):
            build(staging, images={}, root=checkout)
    finally:
        spec.write_text(text)


def test_an_image_is_named_by_its_digest(tmp_path):
    file = tmp_path / "images.json"
    file.write_text(json.dumps({"step": f"here:5000/step@{DIGEST}"}))
    assert read_images(file) == {"step": f"here:5000/step@{DIGEST}"}
    assert read_images(None) == {}
    for content, why in (
        ('{"step": "here/step:latest"}', "'step' is 'here/step:latest'; name it by its digest"),
        ("[]", "must be an object"),
        ("{", "cannot be read as JSON"),
    ):
        file.write_text(content)
        with pytest.raises(BundleError, match=why):
            read_images(file)


def test_a_model_in_service_is_named_by_its_package_and_its_training_set(tmp_path):
    tracking = mlflow_at(tmp_path / "mlflow.db")
    settings = home_of(tmp_path / "home", FLIGHTDECK_MLFLOW_TRACKING_URI=tracking)
    assert models_in_service(settings) == {}
    folder = tmp_path / "package"
    digest, _ = fitted_package(folder, parcels(300))
    attach_signature(folder, sign_package(settings, folder, digest))
    publish(settings, "flight_delays", folder, 2, digest)
    Ledger(settings).append("promoted", "flight_delays", 2, digest, "ann", "r", {})
    trained_on = json.loads((folder / "metadata.json").read_bytes())["snapshot"]
    assert models_in_service(settings)["flight_delays"].model_dump() == {
        "version": 2,
        "digest": digest,
        "data_set": trained_on["name"],
        "data_set_version": trained_on["version"],
        "data_set_digest": trained_on["digest"],
    }
    shutil.rmtree(settings.serving_dir)
    with pytest.raises(BundleError, match=r"version 2 of flight_delays serves, and its package"):
        models_in_service(settings)


@pytest.fixture
def shell(tmp_path, monkeypatch):
    """The settings of a home, and its commands."""
    home = home_of(tmp_path / "home")
    monkeypatch.setenv("FLIGHTDECK_HOME", str(home.home))
    monkeypatch.setenv("FLIGHTDECK_BUNDLE_REGISTRY", str(tmp_path / "registry"))
    monkeypatch.setenv("COLUMNS", "80")
    return home


def test_a_bundle_is_pushed_listed_inspected_and_verified(shell, tmp_path, capsys):
    first, second = (
        tiny_bundle(shell),
        tiny_bundle(shell, commit="f" * 40, images={"step": f"x@{DIGEST}"}),
    )
    for number, bundle in enumerate((first, second)):
        file = tmp_path / f"{number}.tar"
        file.write_bytes(bundle.archive)
        assert run(["bundle", "push", str(file)]) == 0
    assert run(["bundle", "push", str(file)]) == 0
    assert "was there already" in capsys.readouterr().out
    assert run(["bundle", "list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["version"] for row in rows} == {first.version, second.version}
    assert {row["state"] for row in rows} == {"whole"}
    assert run(["bundle", "inspect", second.version[:8], "--against", first.version[:8]]) == 0
    printed = capsys.readouterr().out
    assert f"commit: {'c' * 12} to {'f' * 12}" in printed
    assert "images, new: step" in printed
    assert run(["bundle", "verify", str(file)]) == 0
    assert "all 4 files are as built" in capsys.readouterr().out


def test_a_bundle_that_does_not_hold_is_listed_with_the_reason(shell, tmp_path, capsys):
    bundle = tiny_bundle(shell)
    (tmp_path / "registry").mkdir()
    (tmp_path / "registry" / f"{bundle.version}.tar").write_bytes(bundle.archive[:-1])
    assert run(["bundle", "list"]) == 0
    assert "damaged" in capsys.readouterr().out
    assert run(["bundle", "verify", bundle.version[:8]]) == 1
    assert "damaged" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["verify", "nowhere.tar"], "There is no file nowhere.tar"),
        (["verify", "abcdef"], "No bundle begins with 'abcdef'"),
        (["inspect", "deployed"], "No bundle is deployed in"),
    ],
)
def test_a_name_that_is_none_says_so(shell, capsys, arguments, why):
    assert run(["bundle", *arguments]) == 1
    assert why in capsys.readouterr().err
