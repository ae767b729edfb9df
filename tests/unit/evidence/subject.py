"""What the tests of evidence are about, and how they look at what was collected."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable
from datetime import UTC, datetime

from include.evidence.records import Evidence
from include.use_cases.flight_delays.spec import USE_CASE

NAME, DIGEST = USE_CASE.name, "d" * 64
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


def by_kind(collected: Iterable[Evidence]) -> dict[str, Evidence]:
    return {part.kind: part for part in collected}


def members(content: bytes) -> dict[str, bytes]:
    """The files of an archive."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
