"""The pipeline of this checkout, built, tried end to end, deployed, refused and taken back."""

import os
import subprocess
import sys

import psutil
import pytest

from cli.platform.environment import process_environment
from cli.runs.verdict import ACCEPTED, REFUSED
from include.bundles.deployments import Deployments
from include.bundles.registry import BundleRegistry
from tests.processes import command_of
from tests.unit.bundles.made import altered
from tests.unit.settings.production import production

pytestmark = pytest.mark.slow
SPEC = "include/use_cases/flight_delays/spec.py"


@pytest.fixture(scope="module")
def registry(built, tmp_path_factory):
    """A registry with the bundle of the checkout."""
    registry = BundleRegistry(str(tmp_path_factory.mktemp("registry")))
    registry.push(built.version, built.archive)
    return registry


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the commands make their temporary files."""
    return tmp_path_factory.mktemp("temporary")


@pytest.fixture(scope="module")
def shell(staging, registry, checkout, folder):
    """Runs a command of `bundle`; the exit code and what it prints."""

    def call(*arguments, **variables):
        own = {
            "FLIGHTDECK_ENV": "staging",
            "FLIGHTDECK_HOME": str(staging.home),
            "FLIGHTDECK_BUNDLE_REGISTRY": registry.uri,
            "PYTHONPATH": str(checkout),
            "TMPDIR": str(folder),
            "COLUMNS": "80",
            **variables,
        }
        done = subprocess.run(
            [sys.executable, "-m", "cli", "bundle", *arguments],
            env=process_environment(own),
            cwd=checkout,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stderr == "", done.stderr
        return done.returncode, " ".join(done.stdout.split())

    return call


def left_behind(folder):
    """What a trial made beside the home, and processes that work there."""
    homes = [*folder.glob("flightdeck-smoke-*"), *folder.glob("flightdeck-trial-*")]
    running = [
        process.pid
        for process in psutil.process_iter()
        if process.pid != os.getpid() and str(folder) in " ".join(command_of(process))
    ]
    return [*homes, *running]


@pytest.fixture(scope="module")
def first(shell, built):
    """The first deployment."""
    return shell(
        "deploy", built.version[:8], "--to", "staging", "--until", "2013-04", "--share", "0.1"
    )


def test_a_pipeline_that_yields_a_model_that_answers_is_deployed(first, folder, staging, built):
    code, printed = first
    assert code == ACCEPTED, printed
    assert "training 2013-03-31 00:00 to 2013-04-01 00:00 UTC: accepted." in printed
    assert '"probability": 0.' in printed
    assert "flight_delays answers: accepted." in printed
    assert "the pipeline yields a model that may be deployed, and it answers." in printed
    assert printed.endswith(f"staging runs {built.version[:12]}; before it ran the checkout.")
    assert Deployments(staging).current() == built.version
    (trial,) = Deployments(staging).rows()[-1].evidence["trials"]
    assert trial["outcomes"][-1]["title"] == "flight_delays answers"
    assert left_behind(folder) == []


def test_a_pipeline_whose_model_fails_its_gates_is_refused(
    first, shell, folder, staging, built, registry
):
    """What ran before runs on; the reasons are the gates' own, as `smoke` prints them."""
    worse = altered(built, staging, SPEC, "min_baseline_skill=0.005", "min_baseline_skill=0.9")
    registry.push(worse.version, worse.archive)
    code, printed = shell(
        "deploy", worse.version[:8], "--to", "staging", "--until", "2013-02", "--share", "0.2"
    )
    assert code == REFUSED, printed
    assert "refused by" in printed
    assert " 1. " in printed
    assert "answers: accepted" not in printed
    assert "yields no model that answers; what serves was not touched." in printed
    assert f"{worse.version[:12]} is refused, for " in printed
    reasons = Deployments(staging).rows()[-1].evidence["reasons"]
    assert [reason for reason in reasons if "0.9" in reason and "skill" in reason], reasons
    assert printed.endswith(
        f"staging runs {built.version[:12]} as before, and its model serves on."
    )
    assert Deployments(staging).current() == built.version
    assert left_behind(folder) == []


def test_a_pipeline_whose_code_breaks_is_refused(first, shell, staging, built, registry):
    broken = altered(built, staging, SPEC, "USE_CASE = ", "USE_CASE = nothing = 1 / 0\nUSE_CASE = ")
    registry.push(broken.version, broken.archive)
    with pytest.raises(AssertionError, match="division by zero"):
        shell("deploy", broken.version[:8], "--to", "staging")
    assert "division by zero" in Deployments(staging).rows()[-1].evidence["reasons"][0]
    assert Deployments(staging).current() == built.version


def test_production_takes_what_staging_accepted_and_runs_it_through_its_own_checks(
    first, shell, staging, built, registry, tmp_path
):
    own = production(tmp_path)
    trusted = tmp_path / "keys" / "trusted"
    trusted.mkdir()
    (trusted / "builder.pem").write_bytes((staging.keys_dir / "signing.pub.pem").read_bytes())
    code, printed = shell("deploy", built.version[:8], "--to", "production", **own)
    assert code == ACCEPTED, printed
    assert printed.endswith(f"production runs {built.version[:12]}; before it ran the checkout.")
    code, printed = shell("list")
    assert f"{built.version[:12]}" in printed
    assert "staging" in printed
