"""Runs what continuous integration runs: `python -m tests.ci`.

The rules of the house, every test, and the unit tests on the other supported Pythons, four at a
time (see `tests.together`). Nothing stops at the first failure: one run shows all of them.
"""

from __future__ import annotations

import sys

from tests import other_pythons, together

RULES = "rules"
SHORT_PARTS = 2


def commands() -> dict[str, list[str]]:
    """Every command by its name, in the order in which they start.

    The rules start first, beside the longest part: what breaks them shows within two minutes. The
    other Pythons start before the short parts, which end the run.
    """
    pythons = {
        f"unit-on-{minor}": [sys.executable, "-m", "tests.other_pythons", minor]
        for minor in other_pythons.others()
    }
    parts = together.commands_of([])
    short = {name: parts.pop(name) for name in [*parts][-SHORT_PARTS:]}
    return {RULES: ["make", "check"], **parts, **pythons, **short}


def main() -> int:
    """Exit code: 1 where anything failed."""
    return int(together.failed(together.run_together(commands())))


if __name__ == "__main__":
    sys.exit(main())
