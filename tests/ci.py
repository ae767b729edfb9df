"""Runs what continuous integration runs: `python -m tests.ci`.

The rules of the house, every test, and the unit tests on the other supported Pythons, six at a
time (see `tests.together`). Nothing stops at the first failure: one run shows all of them.
"""

from __future__ import annotations

import sys

from tests import other_pythons, together

RULES = "rules"


def commands() -> dict[str, list[str]]:
    """Every command by its name, in the order in which they start.

    The rules start first, beside the longest part: what breaks them shows within two minutes.
    """
    pythons = {
        f"unit-on-{minor}": [sys.executable, "-m", "tests.other_pythons", minor]
        for minor in other_pythons.others()
    }
    return {RULES: ["make", "check"], **together.commands_of([]), **pythons}


def main() -> int:
    """Exit code: 1 where anything failed."""
    return int(together.failed(together.run_together(commands())))


if __name__ == "__main__":
    sys.exit(main())
