import os
import re
import subprocess
import sys

import pytest

from cli.__main__ import COMMANDS, main
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
        "check",
        "proto",
        "up",
        "down",
        "status",
        "airflow",
        "lock",
        "clean",
        "experiments",
        "reproduce",
        "bench-training",
        "bench-serving",
        "refusals",
        "faults-serving",
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
    assert commands == ["make check test", "make test-pythons"]
    readme = (PROJECT_ROOT / "README.md").read_text()
    assert [command for command in commands if command not in readme] == []


@pytest.mark.parametrize("arguments", [[], ["fly"]])
def test_an_unknown_command_lists_the_known(arguments, capsys):
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert f"{{{','.join(COMMANDS)}}}" in said
    assert "{up,down,status,airflow,demo," in said


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
    assert result.stderr.startswith("status: FLIGHTDECK_AIRFLOW_PORT is 'many'")
    assert result.stderr.count("\n") == 1
