"""The one place that hears when people should know of a release: it was rolled back, it is held, or
it waits for an approval.
"""

from __future__ import annotations

import logging
from typing import Literal

from include.release.ledger import Entry
from include.settings import Settings
from include.spec import UseCase

LOG = logging.getLogger(__name__)

ReleaseEvent = Literal["rolled_back", "held", "approval_requested"]
WORDS: dict[ReleaseEvent, str] = {
    "rolled_back": "was rolled back",
    "held": "is held until a person decides",
    "approval_requested": "waits for an approval",
}


def notify_release(settings: Settings, use_case: UseCase, event: ReleaseEvent, row: Entry) -> None:  # noqa: ARG001  # what a receiver needs
    """Say it, after the ledger's row about it was written and the traffic has moved.

    A step that is repeated says it again with the same row: `row.number` tells both apart. What
    fails here must not fail the release.
    """
    LOG.warning(
        "%s: version %d %s (row %d of the ledger): %s",
        use_case.name,
        row.version,
        WORDS[event],
        row.number,
        row.reason,
    )
