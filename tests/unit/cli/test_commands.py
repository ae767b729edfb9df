import os
import re
import subprocess
import sys

import pytest

from cli.application import COMMANDS, invoke, run
from include.settings import PROJECT_ROOT


def make(*arguments):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        ["make", *arguments],
        cwd=PROJECT_ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_make_alone_lists_every_target_with_its_help():
    targets = set(re.findall(r"^  make ([a-z-]+) +\S", make().stdout, re.MULTILINE))
    assert targets == {
        "help",
        "demo",
        "test",
        "test-unit",
        "test-pythons",
        "released-home",
        "ci",
        "check",
        "audit",
        "docs",
        "proto",
        "up",
        "down",
        "status",
        "logs",
        "airflow",
        "lock",
        "images",
        "compose-up",
        "compose-down",
        "test-docker",
        "test-kubernetes",
        "clean",
        "experiments",
        "reproduce",
        "bench-training",
        "bench-serving",
        "bench-batch",
        "bench-release",
        "bench-monitoring",
        "bench-scale",
        "bench-defaults",
        "refusals",
        "faults-serving",
        "faults-release",
    }


def test_ports_on_the_command_line_reach_the_settings():
    plan = make("-pn", "up", "AIRFLOW_PORT=8123").stdout
    assert "FLIGHTDECK_AIRFLOW_PORT := 8123" in plan


def test_months_reach_the_demo():
    assert "demo --months 3" in make("-n", "demo", "MONTHS=3").stdout


def test_clean_removes_two_folders_only():
    lines = make("-n", "clean").stdout.splitlines()
    assert [line for line in lines if re.search(r"\brm\b", line)] == ["rm -rf var .venv"]


def test_continuous_integration_checks_and_tests():
    script = PROJECT_ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    commands = re.findall(r"^make .+$", script.read_text(), re.MULTILINE)
    assert commands == ["make ci"]
    readme = (PROJECT_ROOT / "README.md").read_text()
    assert [command for command in commands if command not in readme] == []


HEAVY = {
    *("pydantic", "httpx", "psutil", "supervisor", "polars", "pandas", "numpy", "mlflow"),
    *("airflow", "deltalake", "feast", "rich"),
}


def test_help_lists_every_command_with_a_whole_sentence(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert run(["--help"]) == 0
    page = capsys.readouterr().out
    assert all(len(line) <= 80 for line in page.splitlines())
    words = " ".join(page.split())
    for name, command in COMMANDS.items():
        assert f"{name} {command.help}" in words
        assert command.help[-1] in ".?"


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from cli.application import run; run(['--help']);"
        f" print('LOADED', sorted({HEAVY!r} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout.splitlines()[-1] == "LOADED []"


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_command_helps(name, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FLIGHTDECK_HOME", str(tmp_path / "home"))
    assert run([name, "--help"]) == 0
    page = capsys.readouterr().out
    assert f"flightdeck {name}" in page
    assert COMMANDS[name].help in " ".join(page.split())
    assert all(len(line) <= 80 for line in page.splitlines())
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("group", ["experiments", "models", "datasets", "faults", "bench"])
def test_every_command_of_a_group_helps_with_a_sentence_per_option(group, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    loaded = COMMANDS[group].load(group)
    names = loaded.list_commands(None)
    assert names
    for name in names:
        command = loaded.get_command(None, name)
        assert run([group, name, "--help"]) == 0
        page = capsys.readouterr().out
        assert all(len(line) <= 80 for line in page.splitlines())
        words = " ".join(page.split())
        assert " ".join(command.help.split()) in words
        for option in command.params:
            assert option.help.endswith("."), (name, option.name)
            assert " ".join(option.help.split()) in words


def test_help_makes_no_key(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("FLIGHTDECK_HOME", str(tmp_path))
    assert run(["api-key", "--help"]) == 0
    assert run(["api-key", "-x"]) == 2
    assert run(["api-key", "--", "--help"]) == 2
    assert run(["api-key", "two words"]) == 2
    assert run(["api-key"]) == 2
    assert list(tmp_path.rglob("*")) == []
    assert run(["api-key", "ada"]) == 0
    assert (tmp_path / "keys" / "api_keys").read_text().startswith("ada ")


def test_an_unknown_command_is_answered_with_what_was_meant(capsys):
    assert run(["staus"]) == 2
    assert "There is no command 'staus'; did you mean 'status'?" in capsys.readouterr().err
    assert run(["xyzzy"]) == 2
    assert f"valid are {', '.join(COMMANDS)}." in capsys.readouterr().err
    assert run(["models", "exprt"]) == 2
    assert "Did you mean 'export'?" in capsys.readouterr().err


def test_no_command_at_all_shows_the_help(capsys):
    assert run([]) == 2
    assert "api-key" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["reproduce", "flight_delays", "first"],
        ["demo", "--months", "10"],
        ["lineage"],
        ["lineage", "--of-table", "a", "--of-commit", "b"],
        ["serve", "--port", "0"],
        ["up", "now"],
        ["models", "list", "--colour"],
        ["--verbose"],
    ],
)
def test_arguments_that_make_no_sense_end_with_2_and_no_traceback(arguments, capsys):
    assert run(arguments) == 2
    output = capsys.readouterr()
    assert "Error: " in output.err
    assert "Traceback" not in output.err


def test_an_argument_reaches_the_airflow_command_as_it_is(monkeypatch, tmp_path):
    from cli.platform import commands

    seen = []
    monkeypatch.setenv("FLIGHTDECK_HOME", str(tmp_path))
    monkeypatch.setattr(commands, "migrate", lambda *_: None)
    monkeypatch.setattr(
        subprocess,
        "run",
        lambda command, **_: seen.append(command) or subprocess.CompletedProcess(command, 3),
    )
    assert run(["airflow", "dags", "list", "--output", "json", "-v", "--help"]) == 3
    assert seen[0][3:] == ["dags", "list", "--output", "json", "-v", "--help"]


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["refusals", "--only", "equal modl"], "did you mean 'equal model'?"),
        (["refusals", "--nonsense"], "No such option: --nonsense"),
        (["refusals", "--lanes", "0"], "should be greater than or equal to 1"),
        (["faults", "servin"], "did you mean 'serving'?"),
        (["faults", "serving", "--only", "kill"], "did you mean 'kills'?"),
        (["faults", "release", "--only", "race"], "did you mean 'races'?"),
        (["bench", "trainig"], "did you mean 'training'?"),
        (["bench", "training", "--only", "join"], "did you mean 'joins'?"),
        (["bench", "release", "--only", "rollout"], "did you mean 'rollouts'?"),
        (["bench", "defaults", "--only", "birth"], "did you mean 'births'?"),
    ],
)
def test_a_proof_refuses_arguments_that_make_no_sense(arguments, advice, capsys):
    assert run(arguments) == 2
    assert advice in " ".join(capsys.readouterr().err.split())


def test_a_proof_gets_its_arguments(monkeypatch, tmp_path):
    from proofs.faults import serving as proof

    calls = []

    def run_faults(_, size, groups, **options):
        calls.append((size, groups, options))
        return []

    monkeypatch.setattr(proof, "run", run_faults)
    arguments = ["--only", "kills", "--only", "disk", "--quick", "--bentoml"]
    table = tmp_path / "serving.json"
    assert invoke(["faults", "serving", *arguments, "--table", str(table)]) == 1
    assert calls == [(proof.QUICK, ("kills", "disk"), {"bentoml": True})]
    assert table.read_text() == "[]\n"


@pytest.mark.slow
def test_a_wrong_setting_is_one_sentence_without_a_traceback():
    environment = {**os.environ, "FLIGHTDECK_AIRFLOW_PORT": "many"}
    result = subprocess.run(
        [sys.executable, "-m", "cli", "status"],
        cwd=PROJECT_ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr.startswith("flightdeck status: FLIGHTDECK_AIRFLOW_PORT is 'many'")
    assert result.stderr.count("\n") == 1


@pytest.mark.slow
def test_nobody_who_calls_a_command_is_told_what_libraries_deprecate():
    # Feast switches such warnings on for all libraries, and Evidently's import makes three.
    code = (
        "import warnings\n"
        "from cli.application import COMMANDS, run\n"
        "from cli.lazy import Command\n"
        "def noisy():\n"
        "    warnings.simplefilter('always')\n"
        "    warnings.warn('a library calls what another one deprecates', DeprecationWarning)\n"
        "    warnings.warn('something that a user must know', UserWarning)\n"
        "import cli.platform.commands as module\n"
        "module.noisy = noisy\n"
        "COMMANDS['noisy'] = Command('cli.platform.commands:noisy', 'Warn.', 'Platform')\n"
        "raise SystemExit(run(['noisy']))\n"
    )
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONWARNINGS"}
    for options, shown in ([], False), (["-W", "default"], True):
        done = subprocess.run(
            [sys.executable, *options, "-c", code],
            cwd=PROJECT_ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert "something that a user must know" in done.stderr
        assert ("what another one deprecates" in done.stderr) is shown
