"""How a command that runs until it is stopped says what it does: lines with a time on standard
error.
"""

from __future__ import annotations

import logging
import sys
import time


def log_to_stderr() -> None:
    """Write log lines with times in UTC."""
    logging.Formatter.converter = time.gmtime
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s",
        datefmt="%Y-%m-%dT%H:%M:%S",
    )
