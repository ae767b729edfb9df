"""Airflow runs the version that is deployed, and each run the version that it began with."""

import json
import subprocess
import sys
import textwrap

import pytest

from cli.platform.environment import airflow_environment, process_environment
from include.bundles.deployments import Decision, Deployments
from include.bundles.unpacked import unpack
from include.settings import PROJECT_ROOT
from tests.unit.bundles.made import FILES, home_of, tiny_bundle

DAG = b'''"""An airflow dag."""
from airflow.sdk import DAG
from include.marker import MARKER
import include.sub.deep
with DAG("tiny__features", schedule=None, tags=[MARKER, include.sub.deep.MARKER]):
    pass
'''
PROGRAM = """
import json, os, subprocess, sys
from pathlib import Path
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import BundleDagBag

manager = DagBundlesManager()

def parsed(version):
    bundle = manager.get_bundle("dags-folder", version)
    bundle.initialize()
    if version is None:
        bundle.refresh()
    bag = BundleDagBag(
        dag_folder=str(bundle.path / "tiny.py"), bundle_path=bundle.path, bundle_name=bundle.name
    )
    assert bag.import_errors == {}, bag.import_errors
    child = [sys.executable, "-c", "import include.marker; print(include.marker.MARKER)"]
    current = bundle.get_current_version()
    return {
        "tags": sorted(bag.dags["tiny__features"].tags),
        "version": current and current.version,
        "child": subprocess.run(child, capture_output=True, text=True).stdout.strip(),
    }

print(json.dumps([parsed(version) for version in json.loads(sys.argv[1])]))
"""


def marked(settings, text):
    files = {
        **FILES,
        "dags/tiny.py": DAG,
        "include/marker.py": f"MARKER = {text!r}\n".encode(),
        "include/sub/__init__.py": b"",
        "include/sub/deep.py": f"MARKER = 'deep {text}'\n".encode(),
    }
    bundle = tiny_bundle(settings, files=files)
    unpack(settings, bundle)
    return bundle


def run_here(settings, bundle, event="deployed"):
    Deployments(settings).record(
        Decision(event, bundle.version, bundle.manifest.commit, "ann", "", {})
    )


def asked(settings, *versions):
    """What one process of Airflow parses, one version after the other; None is the deployed one."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), json.dumps(versions)],
        cwd=PROJECT_ROOT,
        env=process_environment(airflow_environment(settings)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def home(tmp_path):
    return home_of(tmp_path / "home", "test", FLIGHTDECK_AIRFLOW_DATABASE="sqlite")


@pytest.mark.slow
def test_each_version_is_parsed_with_its_own_code_in_one_process(home):
    a, b = marked(home, "a"), marked(home, "b")
    run_here(home, b)
    answers = asked(home, None, a.version, b.version, a.version)
    assert [answer["tags"] for answer in answers] == [
        ["b", "deep b"],
        ["a", "deep a"],
        ["b", "deep b"],
        ["a", "deep a"],
    ]
    assert [answer["version"] for answer in answers] == [
        b.version,
        a.version,
        b.version,
        a.version,
    ]
    assert [answer["child"] for answer in answers] == ["b", "a", "b", "a"]


@pytest.mark.slow
def test_what_was_changed_on_the_disk_is_not_run(home):
    a = marked(home, "a")
    run_here(home, a)
    file = home.pipelines_dir / "versions" / a.version / "include" / "marker.py"
    file.unlink()
    file.write_text("MARKER = 'evil'\n")
    assert asked(home, None)[0]["tags"] == ["a", "deep a"]


def test_a_deployment_and_a_roll_back_are_seen_at_the_next_look(home, monkeypatch):
    """As the DAG processor looks: the same bundle, again and again."""
    for name, value in airflow_environment(home).items():
        monkeypatch.setenv(name, value)
    from plugins.dag_bundle import PipelineBundle

    a, b = marked(home, "a"), marked(home, "b")
    bundle = PipelineBundle(name="dags-folder")
    bundle.initialize()
    assert bundle.get_current_version() is None
    seen = []
    for event, version in (("deployed", a), ("deployed", b), ("refused", a), ("rolled_back", a)):
        run_here(home, version, event)
        bundle.refresh()
        seen.append(bundle.get_current_version().version)
        assert bundle.path == home.pipelines_dir / "versions" / seen[-1] / "dags"
    assert seen == [a.version, b.version, b.version, a.version]
    pinned = PipelineBundle(name="dags-folder", version=b.version)
    pinned.initialize()
    pinned.refresh()
    assert pinned.get_current_version().version == b.version
    assert str(bundle.path).endswith(f"{a.version}/dags")


def test_without_a_deployment_the_checkout_runs_unversioned(home, monkeypatch):
    monkeypatch.setenv("FLIGHTDECK_HOME", str(home.home))
    from plugins.dag_bundle import PipelineBundle

    bundle = PipelineBundle(name="dags-folder")
    bundle.initialize()
    assert bundle.get_current_version() is None
    assert bundle.path == PROJECT_ROOT / "dags"
