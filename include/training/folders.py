"""Where a training run keeps its files while it runs."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from include.settings import Settings


def work_folder(settings: Settings, use_case_name: str, run_id: str) -> Path:
    """A run's own folder.

    Characters that a file name may not hold are replaced, and a digest of the run id then keeps the
    folders of two runs apart.
    """
    safe = re.sub(r"[^A-Za-z0-9_.-]", "_", run_id)
    suffix = "" if safe == run_id else f".{hashlib.sha256(run_id.encode()).hexdigest()[:8]}"
    return settings.home / "work" / use_case_name / f"{safe}{suffix}"
