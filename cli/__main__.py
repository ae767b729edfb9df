"""`python -m cli`, which `.venv/bin/flightdeck` runs."""

from __future__ import annotations

import sys

from cli.application import run

if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
