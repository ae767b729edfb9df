"""The workflow of continuous integration is valid, calls commands that exist, and gives nobody more
than it needs.
"""

import re
import shlex
import subprocess

import pytest
import yaml

from cli.application import COMMANDS, run
from cli.maintenance.tools import tool
from include.settings import PROJECT_ROOT

pytestmark = pytest.mark.slow
WORKFLOW = PROJECT_ROOT / ".github" / "workflows" / "flightdeck.yml"
TEXT = WORKFLOW.read_text()
JOBS = yaml.safe_load(TEXT)["jobs"]
COMMAND = re.compile(r'(?:\.venv/bin/flightdeck|"\$FLIGHTDECK") (.+)')


def linted(tools_home, path):
    """Whether GitHub's schema and the security linter have nothing to say."""
    zizmor = [tool(tools_home, "zizmor"), "--offline", "--persona=auditor", "--quiet", path]
    schema = [tool(tools_home, "check-jsonschema"), "--builtin-schema", "vendor.github-workflows"]
    runs = [
        subprocess.run(command, capture_output=True, text=True, check=False)
        for command in (zizmor, [*schema, path])
    ]
    return [done.returncode for done in runs], "".join(done.stdout + done.stderr for done in runs)


def commands():
    """Every call of the command line, as arguments; variables become a word."""
    for job in JOBS.values():
        for step in job["steps"]:
            for line in COMMAND.findall(step.get("run", "")):
                yield shlex.split(re.sub(r'"\$\w+"', "WORD", line.partition(" >")[0]))


def test_the_workflow_passes_schema_and_security_linter(tools_home):
    codes, said = linted(tools_home, WORKFLOW)
    assert codes == [0, 0], said


@pytest.mark.parametrize(
    ("old", "new", "which"),
    [
        ("@34e114876b0b11c390a56381ad16ebd13914f8d5 # v4.3.1", "@v4", 0),
        ("permissions: {}", "permissions: write-all", 0),
        ("run: make audit", "run: make audit ${{ github.event.pull_request.title }}", 0),
        ("persist-credentials: false", "persist-credentials: true", 0),
        ("timeout-minutes: 20", "timeout-minuts: 20", 1),
        ("runs-on: ubuntu-24.04", "runs-at: ubuntu-24.04", 1),
    ],
)
def test_the_linters_bite(tools_home, tmp_path, old, new, which):
    path = tmp_path / ".github" / "workflows" / "flightdeck.yml"
    path.parent.mkdir(parents=True)
    assert old in TEXT
    path.write_text(TEXT.replace(old, new, 1))
    codes, _ = linted(tools_home, path)
    assert codes[which] != 0


def test_every_command_that_it_calls_exists_and_takes_its_options(capsys):
    called = list(commands())
    assert [words[:2] for words in called] == [
        ["bundle", "build"],
        ["bundle", "inspect"],
        ["bundle", "deploy"],
        ["bundle", "deploy"],
    ]
    for words in called:
        assert words[0] in COMMANDS
        assert run([*words[:2], "--help"]) == 0
        page = capsys.readouterr().out
        assert [word for word in words if word.startswith("--") and word not in page] == []
    targets = re.findall(r"run: make (\w+)", TEXT)
    makefile = (PROJECT_ROOT / "Makefile").read_text()
    assert targets == ["audit", "venv"]
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)


def test_production_follows_staging_and_each_has_its_environment():
    assert JOBS["staging"]["needs"] == "bundle"
    assert JOBS["production"]["needs"] == ["bundle", "staging"]
    assert JOBS["bundle"]["needs"] == ["test", "audit"]
    for name in ("staging", "production"):
        assert JOBS[name]["environment"] == name
        assert JOBS[name]["permissions"] == {}
        assert f"--to {name}" in JOBS[name]["steps"][0]["run"]
    assert JOBS["test"]["steps"][-1]["run"] == ".ci/run"
