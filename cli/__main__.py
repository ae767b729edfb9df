"""`python -m cli`, which `.venv/bin/flightdeck` runs."""

from __future__ import annotations

import sys

from cli.application import run
from include.process_end import end_at_once

if __name__ == "__main__":
    exits_with = end_at_once()
    code = run(sys.argv[1:])
    exits_with(code)
    sys.exit(code)
