"""`python -m cli`, which `.venv/bin/flightdeck` runs."""

from __future__ import annotations

import sys

from cli.application import run
from include.process_end import end_at_once

if __name__ == "__main__":
    end_at_once()
    sys.exit(run(sys.argv[1:]))
