"""A bundle runs where it was tried and accepted; whatever else happens, what ran before runs on."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from cli.application import run
from cli.bundles.deploy import Request, deploy, roll_back
from cli.bundles.named import NamedBundle, find_bundle
from cli.platform.environment import process_environment
from include.bundles.deployments import Deployments
from include.bundles.registry import BundleRegistry
from include.bundles.unpacked import version_root
from include.errors import BundleError, SignatureError
from include.settings import PROJECT_ROOT
from tests.processes import runs
from tests.unit.bundles.made import home_of, tiny_bundle
from tests.unit.bundles.made_pipelines import REFUSED, pipeline
from tests.unit.settings.production import production


@pytest.fixture
def home(tmp_path):
    return home_of(tmp_path / "home", "staging")


@pytest.fixture
def registry(tmp_path):
    return BundleRegistry(str(tmp_path / "registry"))


def deployed(home, bundle, registry=None, **request):
    named = NamedBundle(bundle, "it", registry=registry)
    return deploy(home, named, Request(**{"reason": "", **request}))


def events(home):
    return [row.event for row in Deployments(home).rows()]


def test_a_bundle_that_is_accepted_runs_and_the_record_says_why(home):
    bundle = pipeline(home)
    came = deployed(home, bundle, reason="the first")
    assert came.reasons == ()
    assert Deployments(home).current() == bundle.version
    assert events(home) == ["begun", "deployed"]
    row = Deployments(home).rows()[-1]
    assert (row.previous, row.reason) == (None, "the first")
    assert row.code_commit == bundle.manifest.commit
    assert row.actor
    assert row.evidence["trials"][0]["outcomes"][0]["state"] == "accepted"
    assert version_root(home, bundle.version).is_dir()


def test_a_bundle_that_is_refused_changes_nothing_and_says_why(home):
    first, second = pipeline(home), pipeline(home, outcomes=REFUSED, code=3)
    deployed(home, first)
    came = deployed(home, second)
    assert came.reasons == ("training refused: AUC is 0.4.",)
    assert Deployments(home).current() == first.version
    assert events(home) == ["begun", "deployed", "begun", "refused"]
    assert Deployments(home).rows()[-1].evidence["reasons"] == ["training refused: AUC is 0.4."]


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ("raise RuntimeError('no such column')", "RuntimeError: no such column"),
        ("os._exit(9)", "exit code 9 and no verdict"),
        ("os.kill(os.getpid(), 9)", "exit code -9 and no verdict"),
        ("import nothing_of_the_kind", "No module named 'nothing_of_the_kind'"),
    ],
)
def test_code_that_breaks_is_refused_with_its_last_words(home, broken, why):
    came = deployed(home, pipeline(home, before=broken))
    assert why in came.reasons[0]
    assert Deployments(home).current() is None


def test_the_same_bundle_again_does_nothing(home):
    bundle = pipeline(home)
    deployed(home, bundle)
    assert deployed(home, bundle).row is None
    assert events(home) == ["begun", "deployed"]


@pytest.fixture
def trying(home, tmp_path):
    """A deployment in the middle of its trial, over a first one: the bundle, the command's process,
    and the trial's id.
    """
    deployed(home, pipeline(home))
    begun, file = tmp_path / "begun", tmp_path / "slow.tar"
    slow = pipeline(
        home,
        before=(
            f"open({str(begun) + '.new'!r}, 'w').write(str(os.getpid()));"
            f" os.rename({str(begun) + '.new'!r}, {str(begun)!r}); import time; time.sleep(60)"
        ),
    )
    file.write_bytes(slow.archive)
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", "bundle", "deploy", str(file), "--to", "staging"],
        env=process_environment(
            {"FLIGHTDECK_HOME": str(home.home), "PYTHONPATH": str(PROJECT_ROOT)}
        ),
        cwd=PROJECT_ROOT,
        start_new_session=True,
    )
    wait_for(begun.exists)
    yield slow, process, int(begun.read_text())
    process.kill()
    process.wait()


@pytest.mark.slow
def test_a_deployment_that_was_killed_changed_nothing_and_the_next_one_goes_on(home, trying):
    """As a power cut in the middle of the trial does it."""
    slow, process, _ = trying
    first = Deployments(home).current()
    with pytest.raises(BundleError, match="Another deployment is at work"):
        deployed(home, pipeline(home, before="pass"))
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert Deployments(home).current() == first
    assert Deployments(home).unfinished().version == slow.version
    third = pipeline(home, before="x = 1")
    deployed(home, third)
    assert Deployments(home).current() == third.version
    assert Deployments(home).unfinished() is None


@pytest.mark.slow
def test_a_deployment_that_is_asked_to_end_ends_its_trial_too(home, trying):
    """As whatever calls it does when its time is up."""
    slow, process, trial = trying
    first = Deployments(home).current()
    process.terminate()
    assert process.wait(30) == 143
    assert not runs(trial)
    assert Deployments(home).current() == first != slow.version


def wait_for(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_a_power_cut_between_the_steps_leaves_the_former_version(home, monkeypatch):
    """After each thing that is written: the archive, the files, the first row, the acceptance."""
    from cli.bundles import deploy as module

    first = pipeline(home)
    deployed(home, first)
    second = pipeline(home, before="x = 2")
    for step in ("unpack", "require_installed", "_promotion", "_tried", "_acceptance"):
        original = getattr(module, step)

        def cut(*arguments, original=original, **more):
            original(*arguments, **more)
            raise KeyboardInterrupt

        monkeypatch.setattr(module, step, cut)
        with pytest.raises(KeyboardInterrupt):
            deployed(home, second)
        monkeypatch.setattr(module, step, original)
        assert Deployments(home).current() == first.version
    deployed(home, second)
    assert Deployments(home).current() == second.version


def test_two_deployments_at_once_are_one(home):
    bundle, at_once, ends = pipeline(home), threading.Barrier(3), []

    def work():
        at_once.wait()
        try:
            ends.append(deployed(home, bundle).row)
        except BundleError as error:
            ends.append(str(error))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ends) == 3
    assert events(home) == ["begun", "deployed"]
    assert Deployments(home).current() == bundle.version


def test_what_is_not_signed_by_a_trusted_key_or_damaged_is_not_even_unpacked(home, tmp_path):
    deployed(home, pipeline(home))
    stranger = pipeline(home_of(tmp_path / "stranger"), before="x = 5")
    damaged = bytearray(pipeline(home, before="x = 6").archive)
    damaged[len(damaged) // 2] ^= 1
    for content in (stranger.archive, bytes(damaged)):
        file = tmp_path / "it.tar"
        file.write_bytes(content)
        with pytest.raises((BundleError, SignatureError)):
            find_bundle(home, str(file))
    assert len(list((home.pipelines_dir / "versions").iterdir())) == 1
    assert events(home) == ["begun", "deployed"]


def test_other_packages_than_it_locks_are_refused_with_the_command(home):
    lock = b"packaging==0.1 \\\n    --hash=sha256:0\nnothing-of-the-kind==1 ; os_name != 'x'\n"
    with pytest.raises(BundleError) as refused:
        deployed(home, pipeline(home, **{"requirements.txt": lock}))
    text = str(refused.value)
    assert "packaging==0.1 is " in text
    assert "nothing-of-the-kind==1" in text
    assert "is not installed" in text
    assert f"--python {sys.executable} --require-hashes" in text
    assert text.endswith("/requirements.txt")
    with pytest.raises(BundleError, match=r"runs on Python >=4, and this is"):
        deployed(home, tiny_bundle(home, requires_python=">=4"))
    assert events(home) == []


def test_production_takes_what_staging_has_accepted(home, registry, tmp_path):
    bundle = pipeline(home)
    there = production_home(tmp_path, home)
    with pytest.raises(BundleError, match=r"production takes what staging has accepted.*--to stag"):
        deployed(there, bundle, registry)
    deployed(home, bundle, registry)
    assert [item.environment for item in registry.acceptances(bundle.version)] == ["staging"]
    came = deployed(there, bundle, registry)
    assert came.row.evidence["accepted"]["tried"] == ["tiny"]
    assert Deployments(there).current() == bundle.version


def test_an_acceptance_of_another_bundle_or_key_counts_nothing(home, registry, tmp_path):
    first, second = pipeline(home), pipeline(home, before="x = 1")
    deployed(home, first, registry)
    there = production_home(tmp_path, home)
    place = tmp_path / "registry"
    said = json.loads((place / f"{first.version}.accepted-staging.json").read_text())
    forged = place / f"{second.version}.accepted-staging.json"
    for document in (said, {**said, "version": second.version}):
        forged.write_text(json.dumps(document))
        with pytest.raises(BundleError, match="no such statement that a trusted key has signed"):
            deployed(there, second, registry)
    stranger = home_of(tmp_path / "stranger", "staging")
    forged.unlink()
    deployed(stranger, pipeline(stranger, before="x = 1"), registry)
    with pytest.raises(BundleError, match="no such statement"):
        deployed(there, second, registry)


def test_whoever_overrides_the_order_says_why_and_it_is_kept(home, registry, tmp_path):
    bundle = pipeline(home)
    there = production_home(tmp_path, home)
    came = deployed(there, bundle, registry, override="staging burnt down")
    assert came.row.evidence["override"] == "staging burnt down"


def test_production_takes_no_bundle_that_cannot_be_built_again(home, registry, tmp_path):
    bundle = tiny_bundle(home, files=pipeline(home).files, dirty=["include/a.py"])
    deployed(home, bundle, registry)
    there = production_home(tmp_path, home)
    with pytest.raises(BundleError, match=r"include/a\.py.*not as committed"):
        deployed(there, bundle, registry)
    assert deployed(there, bundle, registry, override="at night").row.evidence["dirty"]


def test_in_production_what_declares_what_cannot_be_is_refused(home, registry, tmp_path):
    broken = 'arguments[0] == "declarations" and sys.exit("no such view")'
    bundle = pipeline(home, before=broken)
    deployed(home, bundle, registry)
    there = production_home(tmp_path, home)
    assert deployed(there, bundle, registry).reasons == ("no such view",)
    assert Deployments(there).current() is None


def production_home(folder, builder):
    """A home of production that trusts who signs in the builder's home."""
    variables = production(folder)
    there = home_of(variables.pop("FLIGHTDECK_HOME"), "production", **without_env(variables))
    trusted = there.keys_dir / "trusted"
    trusted.mkdir(parents=True)
    (trusted / "builder.pem").write_bytes((builder.keys_dir / "signing.pub.pem").read_bytes())
    return there


def without_env(variables):
    return {name: value for name, value in variables.items() if name != "FLIGHTDECK_ENV"}


def test_a_trial_with_other_specifications_is_no_trial(home, tmp_path):
    overlay = tmp_path / "overlay.json"
    overlay.write_text("{}")
    other = home.model_copy(update={"spec_overlay": overlay})
    with pytest.raises(BundleError, match=r"FLIGHTDECK_SPEC_OVERLAY.*Unset the variable"):
        deployed(other, pipeline(home))


def test_rolling_back_goes_step_by_step_to_what_ran_before(home):
    a, b, c = (pipeline(home, before=f"x = {number}") for number in range(3))
    with pytest.raises(BundleError, match="nothing to roll back"):
        roll_back(home, None, "")
    deployed(home, a)
    with pytest.raises(BundleError, match="no bundle ran here"):
        roll_back(home, None, "")
    deployed(home, b)
    deployed(home, c)
    assert roll_back(home, None, "wrong totals").version == b.version
    assert Deployments(home).rows()[-1].reason == "wrong totals"
    assert roll_back(home, None, "").version == a.version
    with pytest.raises(BundleError, match="no bundle ran here"):
        roll_back(home, None, "")
    assert roll_back(home, c.version[:6], "").version == c.version
    with pytest.raises(BundleError, match=f"'ffff' is no one version.*{a.version[:12]}"):
        roll_back(home, "ffff", "")


def test_a_roll_back_puts_damaged_files_in_order(home):
    a, b = (pipeline(home, before=f"x = {number}") for number in range(2))
    deployed(home, a)
    deployed(home, b)
    file = version_root(home, a.version) / "cli" / "__main__.py"
    file.unlink()
    file.write_text("import evil")
    roll_back(home, None, "")
    assert b"evil" not in file.read_bytes()


def test_the_record_takes_no_change(home):
    import sqlite3

    deployed(home, pipeline(home))
    with sqlite3.connect(home.pipelines_dir / "deployments.db") as database:
        for statement in ("DELETE FROM", "UPDATE"):
            change = "" if statement != "UPDATE" else " SET reason = 'x'"
            with pytest.raises(sqlite3.IntegrityError, match="only added"):
                database.execute(f"{statement} pipeline_deployments{change}")
    database.close()


@pytest.fixture
def shell(home, tmp_path, monkeypatch):
    """Commands in the home, at 80 columns."""
    monkeypatch.setenv("FLIGHTDECK_HOME", str(home.home))
    monkeypatch.setenv("FLIGHTDECK_ENV", "staging")
    monkeypatch.setenv("FLIGHTDECK_BUNDLE_REGISTRY", str(tmp_path / "registry"))
    monkeypatch.setenv("COLUMNS", "80")
    return home


def test_the_commands_deploy_refuse_show_and_take_back(shell, registry, capfd):
    a, b = pipeline(shell), pipeline(shell, before="1")
    c = pipeline(shell, outcomes=REFUSED, code=3)
    for bundle in (a, b, c):
        registry.push(bundle.version, bundle.archive)
    assert run(["bundle", "deploy", a.version[:8], "--to", "staging"]) == 0
    assert f"staging runs {a.version[:12]}; before it ran the checkout." in capfd.readouterr().out
    assert run(["bundle", "deploy", b.version[:8], "--to", "staging", "--reason", "second"]) == 0
    assert run(["bundle", "deploy", b.version[:8], "--to", "staging"]) == 0
    assert "already" in capfd.readouterr().out
    assert run(["bundle", "deploy", c.version[:8], "--to", "staging"]) == 3
    printed = capfd.readouterr().out
    assert "AUC is 0.4." in printed
    assert f"staging runs {b.version[:12]} as before, and its model serves on." in printed
    assert run(["bundle", "rollback", "--reason", "wrong totals"]) == 0
    assert f"staging runs {a.version[:12]} again" in capfd.readouterr().out
    assert run(["bundle", "status"]) == 0
    printed = capfd.readouterr().out
    assert "wrong totals" in printed
    assert "as they were built" in printed
    assert run(["bundle", "status", "--json"]) == 0
    status = json.loads(capfd.readouterr().out)
    assert status["current"] == a.version
    assert len(status["rows"]) == 7
    assert run(["bundle", "list"]) == 0
    assert "staging" in capfd.readouterr().out
    file = version_root(shell, a.version) / "dags" / "tiny.py"
    file.unlink()
    assert run(["bundle", "status"]) == 1
    assert "tiny.py is missing" in capfd.readouterr().out


def test_an_environment_that_is_not_this_one_is_refused(shell, registry, capsys):
    bundle = pipeline(shell)
    registry.push(bundle.version, bundle.archive)
    assert run(["bundle", "deploy", bundle.version[:8], "--to", "dev"]) == 1
    assert "FLIGHTDECK_ENV is staging, and the bundle is to go to dev" in capsys.readouterr().err


@pytest.mark.slow
def test_up_runs_the_code_that_is_deployed(shell, capfd):
    bundle = pipeline(shell)
    deployed(shell, bundle)
    done = subprocess.run(
        [sys.executable, "-m", "cli", "up"],
        cwd=PROJECT_ROOT,
        env=process_environment(
            {
                "FLIGHTDECK_HOME": str(shell.home),
                "FLIGHTDECK_ENV": "staging",
                "PYTHONPATH": str(PROJECT_ROOT),
            }
        ),
        capture_output=True,
        text=True,
        check=False,
    )
    root = version_root(shell, bundle.version)
    assert done.stdout.splitlines() == [
        f"{shell.home} runs the pipeline {bundle.version[:12]}, which is deployed.",
        f"up by {root}",
    ], done.stderr
