"""The Great Expectations suites of a use case as readable JSON:
`include/use_cases/<name>/expectations/<table>.json`.

They are written from the declarations of the tables, so that a review shows what a changed
declaration means for the data, and any tool that speaks Great Expectations can read them.
Validation runs the same rules, with those of the interval added.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from include.quality.rules import declared_rules
from include.quality.validation import suite_name
from include.settings import PROJECT_ROOT
from include.spec import Table, UseCase

COMMAND = "flightdeck expectations"
CAMEL = re.compile(r"(?<!^)(?=[A-Z])")


def suites_folder(use_case: UseCase) -> Path:
    """Where the use case's suites lie."""
    return PROJECT_ROOT / "include" / "use_cases" / use_case.name / "expectations"


def suite(table: Table) -> dict[str, Any]:
    """The table's suite as Great Expectations reads it: name and expectations, each with what it
    expects in words.
    """
    expectations = [
        {
            "type": CAMEL.sub("_", rule.expectation).lower(),
            "kwargs": rule.arguments,
            "meta": {"rule": rule.name, "expected": rule.expected},
        }
        for rule in declared_rules(table)
    ]
    return {
        "name": suite_name(table),
        "expectations": expectations,
        "meta": {"table": table.name, "written_by": COMMAND},
    }


def suite_files(use_case: UseCase) -> dict[Path, str]:
    """The content of every suite's file as the declarations have it now."""
    folder = suites_folder(use_case)
    return {
        folder / f"{suite_name(table)}.json": json.dumps(suite(table), indent=2) + "\n"
        for table in use_case.own_tables
    }


def write_suites(use_case: UseCase) -> list[Path]:
    """Bring the files up to date, removing those of tables that are gone; returns the files that
    changed.
    """
    files = suite_files(use_case)
    changed = stale(use_case)
    suites_folder(use_case).mkdir(exist_ok=True)
    for path in changed:
        if path in files:
            path.write_text(files[path], encoding="utf-8")
        else:
            path.unlink()
    return changed


def stale(use_case: UseCase) -> list[Path]:
    """Files that differ from the declarations, are missing, or belong to no table."""
    files = suite_files(use_case)
    differing = [
        path
        for path, content in files.items()
        if not path.exists() or path.read_text(encoding="utf-8") != content
    ]
    return sorted(
        [
            *differing,
            *(path for path in suites_folder(use_case).glob("*.json") if path not in files),
        ]
    )
