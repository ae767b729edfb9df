"""What runs of the tests left in `<home>/tests`: JUnit files whose property `commit` names what
was tested. `make test` writes them; those of CI are put there.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree as ET

from include.errors import DataError
from include.ml_test_score.records import JUnitRun
from include.settings import Settings
from include.training.provenance import DIRTY

COMMIT = "commit"
SPOILED = ("failure", "error")


def read_junit(settings: Settings) -> tuple[JUnitRun, ...]:
    """The runs whose files lie in the home, by name; one that names no commit, or where
    files were not as committed, proves nothing of any, and is left out.

    Raises `DataError` for a file that is no JUnit file.
    """
    files = sorted((settings.home / "tests").glob("*.xml"))
    return tuple(run for file in files if (run := _run_of(file)) is not None)


def _run_of(file: Path) -> JUnitRun | None:
    try:
        # Files of the home are the operator's own.
        root = ET.parse(file).getroot()  # noqa: S314
    except (ET.ParseError, OSError) as error:
        raise DataError(
            f"{file} is no JUnit file ({error}). Write it with `pytest --junitxml`, or remove it."
        ) from error
    commits = {
        node.get("value", "") for node in root.iter("property") if node.get("name") == COMMIT
    }
    if len(commits) != 1 or any(commit.endswith(DIRTY) for commit in commits):
        return None
    cases = list(root.iter("testcase"))
    return JUnitRun(
        file=file.name,
        commit=commits.pop(),
        # One that was skipped has shown nothing.
        passed=tuple(_name(case) for case in cases if not _has(case, (*SPOILED, "skipped"))),
        failed=tuple(_name(case) for case in cases if _has(case, SPOILED)),
    )


def _has(case: ET.Element, tags: Iterable[str]) -> bool:
    return any(case.find(tag) is not None for tag in tags)


def _name(case: ET.Element) -> str:
    return f"{case.get('classname', '')}::{case.get('name', '')}"
