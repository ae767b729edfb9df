"""docs/tutorial.md is carried out as it is printed: its commands and changes in their order, in a
copy of the project; what they print is what the page shows, but for figures.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from include.settings import PROJECT_ROOT
from proofs.harness.ports import free_port
from tests.copies import environment_of, project_copy

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
PAGE = PROJECT_ROOT / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```(sh|diff|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECONDS = 600
LEFT_OUT = "..."


@dataclass(frozen=True)
class Step:
    """A command or a change of the page, and the lines that the page shows of what it prints."""

    kind: str
    text: str
    shown: tuple[str, ...]


def steps_of(page: str) -> list[Step]:
    """The steps of a page, in their order: a block of text belongs to the command before it."""
    steps: list[Step] = []
    for kind, text in BLOCK.findall(page):
        if kind == "text":
            before = steps.pop()
            steps.append(Step(before.kind, before.text, tuple(text.splitlines())))
        else:
            steps.append(Step(kind, text, ()))
    return steps


def words_of(line: str) -> str:
    """A line without its figures: they are those of one machine and day."""
    return " ".join(re.sub(r"[\d.,:+-]*\d[\d.,:+-]*|[─━-]{2,}", "#", line).split())


@pytest.fixture
def copy(tmp_path: Path) -> Iterator[Path]:
    """A copy of the project; the endpoint that a step left running ends with it."""
    root = project_copy(tmp_path / "flightdeck")
    yield root
    number = root / "endpoint.pid"
    if number.exists():
        os.kill(int(number.read_text()), signal.SIGTERM)


def test_the_page_holds_as_it_is_printed(copy: Path):
    serving = free_port()
    # A file in the place of MLflow's server, which would be started for each command.
    tracking = f"sqlite:///{copy}/mlflow.db"
    settings = {"SERVING_PORT": str(serving), "GRPC_PORT": "0", "MLFLOW_TRACKING_URI": tracking}
    environment = environment_of(copy, **settings)
    steps = steps_of(PAGE.read_text())
    assert {step.kind for step in steps} == {"sh", "diff"}
    for step in steps:
        command = ["bash", "-euo", "pipefail", "-c", step.text.replace(":3000", f":{serving}")]
        if step.kind == "diff":
            command = ["git", "apply", "--unidiff-zero", "-"]
        done = subprocess.run(
            command,
            cwd=copy,
            env=environment,
            input=step.text if step.kind == "diff" else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{step.text}\n{done.stdout}"
        printed = [words_of(line) for line in done.stdout.splitlines()]
        for line in step.shown:
            assert line.strip() == LEFT_OUT or words_of(line) in printed, (
                f"docs/tutorial.md shows a line that is not printed: {line!r}\n{done.stdout}"
            )


def test_the_finder_of_steps_sees_commands_changes_and_what_they_print():
    page = "a\n```sh\nls\n```\nb\n```text\nx 1\n```\n```diff\n-a\n+b\n```\n"
    assert steps_of(page) == [Step("sh", "ls\n", ("x 1",)), Step("diff", "-a\n+b\n", ())]
    assert words_of("[00:12]  auc 0.71, 1,024 rows") == words_of("[01:40] auc 0.8, 9 rows")
    assert words_of("accepted") != words_of("refused")
