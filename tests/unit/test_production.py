"""What ships carries none of the tools of tests: an `assert` is gone under `python -O`, and a mock
hides what is really called.
"""

from __future__ import annotations

import ast
import subprocess

import pytest

from include.settings import PROJECT_ROOT

SHIPPED = ("cli", "dags", "feature_repo", "include", "plugins", "serving")


def of_tests(tree: ast.AST) -> list[str]:
    """`<line>: <what>` for every use of a tool of tests."""
    uses = []
    for node in ast.walk(tree):
        match node:
            case ast.Assert():
                uses.append(f"{node.lineno}: assert")
            case ast.Name(id="AssertionError"):
                uses.append(f"{node.lineno}: AssertionError")
            case ast.Import():
                names = [alias.name for alias in node.names]
                uses += [f"{node.lineno}: {name}" for name in names if is_of_tests(name)]
            case ast.ImportFrom(module=str(module)) if is_of_tests(module):
                uses.append(f"{node.lineno}: {module}")
    return uses


def is_of_tests(module: str) -> bool:
    """Whether the module belongs to a library for tests."""
    return module.split(".", maxsplit=1)[0] in ("unittest", "pytest", "_pytest")


@pytest.mark.slow
@pytest.mark.parametrize("package", SHIPPED)
def test_nothing_that_ships_asserts_or_mocks(package: str):
    listed = subprocess.run(
        ["git", "ls-files", f"{package}/*.py"],
        capture_output=True,
        text=True,
        check=True,
        cwd=PROJECT_ROOT,
    ).stdout.splitlines()
    files = [PROJECT_ROOT / name for name in listed if (PROJECT_ROOT / name).exists()]
    assert files
    uses = {
        str(path.relative_to(PROJECT_ROOT)): of_tests(ast.parse(path.read_text())) for path in files
    }
    assert {name: lines for name, lines in uses.items() if lines} == {}, (
        "raise an error of include/errors.py that says what to do instead"
    )


@pytest.mark.parametrize(
    "code",
    [
        "assert x",
        "raise AssertionError('no')",
        "from unittest.mock import patch",
        "import unittest.mock",
        "from unittest import mock",
    ],
)
def test_each_tool_of_tests_is_seen(code: str):
    assert len(of_tests(ast.parse(code))) == 1
