"""Where Compose and its file are, and what asks for every service of it."""

from __future__ import annotations

import sys
from pathlib import Path

from include.settings import PROJECT_ROOT

COMPOSE = Path(sys.executable).with_name("docker-compose")
FILE = PROJECT_ROOT / "docker" / "compose.yaml"
CELERY = {"COMPOSE_PROFILES": "celery", "FLIGHTDECK_EXECUTOR": "celery"}
"""What `make compose-up EXECUTOR=celery` sets: every service there is."""
