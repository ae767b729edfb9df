"""Reviews of single decisions, as rows of the signed release ledger: who asked for one, who upheld
or overturned the decision, and why.

    review_requested    a review was asked for, and what the reviewer was shown
    reviewed            a named person's answer: upheld or overturned
    review_refused      an answer that does not count, or none in time

A row names the decision by its prediction id and holds nothing of what was asked or known: the
ledger keeps its rows for ever, and the inference log forgets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import JsonValue

from include.decisions.right import Outcome
from include.errors import ReleaseError
from include.release.ledger import Entry, Event, Ledger
from include.settings import Settings
from include.spec import UseCase

ABOUT = "decision"
ID = "prediction_id"
REQUESTED: Event = "review_requested"
REVIEWED: Event = "reviewed"
REFUSED: Event = "review_refused"


@dataclass(frozen=True)
class Review:
    """One person's answer about one decision.

    `number` is the ledger's row. `version` and `digest` answered at `answered_at` (ISO 8601, as
    `reviewed_at`). `decision` replaces what was answered, where it was overturned: true or false,
    a class, or a number. `earlier` are the numbers of the reviews of the same decision that there
    were before, `contradicts` says whether the newest of them has another outcome or decision; the
    newest review is what stands.
    """

    number: int
    reviewed_at: str
    use_case: str
    prediction_id: str
    answered_at: str
    version: int
    digest: str
    outcome: Outcome
    decision: JsonValue
    reviewer: str
    reason: str
    requested_by: tuple[str, ...]
    earlier: tuple[int, ...]
    contradicts: bool = False

    def as_json(self) -> dict[str, Any]:
        """All fields as plain JSON."""
        return {**asdict(self), "requested_by": list(self.requested_by)}


@dataclass(frozen=True)
class Decided:
    """What a review says: `decision` is what replaces the answer, None where it is upheld."""

    outcome: Outcome
    decision: JsonValue


def replacement(
    use_case: UseCase, outcome: Outcome, decided: bool | str | None, text: str
) -> Decided:
    """What an outcome and the typed decision mean.

    :param decided: what was answered: the decision of a binary problem, the predicted class of
        several, None of a regression.
    :param text: what the reviewer typed as the decision that replaces it; empty for none.

    Raises `ReleaseError` that says what is valid.
    """
    if outcome == "upheld":
        if text:
            raise ReleaseError(
                f"A decision that is upheld is replaced by nothing, and {text!r} was typed as the"
                " one that replaces it: overturn the decision, or leave the field empty."
            )
        return Decided(outcome, None)
    kind = use_case.problem.kind
    if kind == "binary":
        return Decided(outcome, _opposite(bool(decided), text))
    if kind == "multiclass":
        return Decided(outcome, _other_class(use_case, decided, text))
    try:
        return Decided(outcome, float(text))
    except ValueError as error:
        raise ReleaseError(
            f"A number in the label's unit replaces a value that is overturned; {text!r} is none."
        ) from error


def record_review(
    ledger: Ledger, request: Entry, decided: Decided, *, reviewer: str, reason: str, **evidence: Any
) -> Review:
    """Write a review into the ledger and return it; the same run and step again give the row that
    is there.

    :param request: the row `review_requested` that it answers.
    :param evidence: JSON; `run` and `step` name the task's try.
    """
    prediction_id = request.evidence[ID]
    entry = ledger.append(
        REVIEWED,
        request.use_case,
        request.version,
        request.digest,
        reviewer,
        reason,
        {
            **evidence,
            "about": ABOUT,
            ID: prediction_id,
            "answered_at": request.evidence["answered_at"],
            "request_row": request.number,
            "outcome": decided.outcome,
            "decision": decided.decision,
        },
        about_same=lambda row: row.evidence.get(ID) == prediction_id,
    )
    return next(
        review for review in reviews(ledger.rows(request.use_case)) if review.number == entry.number
    )


def all_reviews(settings: Settings, use_case: str | None = None) -> list[Review]:
    """Every review (of one use case), oldest first."""
    return reviews(Ledger(settings).rows(use_case))


def reviews(rows: Sequence[Entry], prediction_id: str | None = None) -> list[Review]:
    """The reviews (of one decision) among rows of the ledger, oldest first."""
    written: dict[int, Review] = {}
    for row in rows:
        if row.event == REVIEWED and prediction_id in (None, row.evidence[ID]):
            written[row.number] = _review(row, written)
    return list(written.values())


def standing(written: Sequence[Review]) -> list[Review]:
    """The newest review of each decision: the one that stands."""
    return list({review.prediction_id: review for review in written}.values())


def open_request(rows: Sequence[Entry], prediction_id: str) -> Entry | None:
    """The newest request for a review of the decision that has no answer yet."""
    answered = {row.evidence.get("request_row") for row in rows if row.event in (REVIEWED, REFUSED)}
    return next(
        (
            row
            for row in reversed(rows)
            if row.event == REQUESTED
            and row.evidence[ID] == prediction_id
            and row.number not in answered
        ),
        None,
    )


def _review(row: Entry, written: dict[int, Review]) -> Review:
    content = row.evidence
    earlier = tuple(content["earlier"])
    before = written.get(earlier[-1]) if earlier else None
    says = (content["outcome"], content["decision"])
    return Review(
        number=row.number,
        reviewed_at=row.recorded_at.isoformat(timespec="seconds"),
        use_case=row.use_case,
        prediction_id=content[ID],
        answered_at=content["answered_at"],
        version=row.version,
        digest=row.digest,
        outcome=content["outcome"],
        decision=content["decision"],
        reviewer=row.actor,
        reason=row.reason,
        requested_by=tuple(content.get("requesters", ())),
        earlier=earlier,
        contradicts=before is not None and says != (before.outcome, before.decision),
    )


def _opposite(decided: bool, text: str) -> bool:
    """Of two decisions the other one; what was typed may only say the same."""
    words = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
    if text and words.get(text.lower()) is not (not decided):
        answered, other = ("yes", "no") if decided else ("no", "yes")
        raise ReleaseError(
            f"The answer was {answered!r}, and overturning it makes it {other!r}; {text!r} was"
            f" typed. Leave the field empty or type {other!r}."
        )
    return not decided


def _other_class(use_case: UseCase, decided: bool | str | None, text: str) -> str:
    valid = [name for name in use_case.problem.class_names if name != decided]
    if text not in valid:
        raise ReleaseError(
            f"{text!r} cannot replace the class {decided!r} that is overturned; valid: {valid}."
        )
    return text
