"""Who saw a commit beside its author, by the checkout's git."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

from include.ml_test_score.records import Review
from include.settings import PROJECT_ROOT
from include.training.provenance import ask_git

TRAILER = re.compile(r"^(?:Reviewed|Approved|Acked)-by:\s*(.+?)\s*$", re.IGNORECASE | re.MULTILINE)
FIELDS = "%ae%n%cI%n%B"


def review_of(commit: str, root: Path = PROJECT_ROOT) -> Review | None:
    """The review of a commit; None where git does not have it, as in an image.

    Reviewers are those whom trailers of the commit, or of the first merge that brought it in, name,
    and that merge's author; the commit's own author is none.
    """
    shown = ask_git(root, "show", "--no-patch", f"--format={FIELDS}", f"{commit}^{{commit}}")
    if shown is None:
        return None
    author, moment, *message = shown.splitlines()
    names = _named(message)
    merged = ask_git(
        root, "rev-list", "--merges", "--ancestry-path", "--reverse", f"{commit}..HEAD"
    )
    if merged:
        first = ask_git(root, "show", "--no-patch", f"--format={FIELDS}", merged.splitlines()[0])
        by, _, *text = (first or "\n").splitlines()
        names |= {by, *_named(text)}
    others = sorted(name for name in names if name and author not in name)
    return Review(datetime.fromisoformat(moment), tuple(others))


def _named(message: list[str]) -> set[str]:
    return set(TRAILER.findall("\n".join(message)))
