"""A loaded version of a model, with all that answering by it takes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from include.features.version_interface import VersionInterface
from include.model.package import ScoringModel
from serving.scoring.scorer import Scorer


@dataclass(frozen=True)
class ServedModel:
    """A loaded version; `scorer` is what answers with it."""

    version: int
    digest: str
    since: datetime
    model: ScoringModel
    scorer: Scorer

    @property
    def interface(self) -> VersionInterface:
        """Say what the version reads and what its callers send."""
        return VersionInterface.of(self.version, self.model.transform, self.model.metadata.request)
