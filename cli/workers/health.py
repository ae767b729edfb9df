"""Whether the Celery worker of this container is well: `python -m cli.workers.health`, exit code 0
or 1.

It is asked through its broker, as `flightdeck status` asks: one that only hangs does not answer.
"""

from __future__ import annotations

import socket
import sys

from cli.workers.celery_workers import require_broker, silence
from include.settings import load_settings


def main() -> int:
    """Say what is wrong, if anything is."""
    reason = silence(require_broker(load_settings()), f"*@{socket.gethostname()}")
    if reason:
        sys.stderr.write(f"{reason}\n")
    return 1 if reason else 0


if __name__ == "__main__":
    sys.exit(main())
