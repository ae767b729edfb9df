"""Everything about one automated decision, for the person who contests it and the one who answers:
what was asked, what was known, who answered and why that version, what came out and of what, and
what became of it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import polars as pl

from include.decisions.answered_by import AnsweredBy, answered_by
from include.decisions.lookup import logged_answer
from include.decisions.rescoring import Rescored, rescore
from include.decisions.reviews import Review, reviews
from include.inference_log.log import feedback_table, ship_feedback
from include.inference_log.redaction import Redaction
from include.release.analysis.outcome_rows import labelled_rows
from include.release.ledger import Ledger
from include.settings import Settings
from include.spec import UseCase, feature_types
from include.tables.store import TableStore

LABEL = "label"


@dataclass(frozen=True)
class DecisionRecord:
    """One answer of the endpoint.

    Times are ISO 8601, UTC. `request` holds id, entity keys and request fields as the log keeps
    them: `hidden` maps those that it does not keep in clear to `hash` or `drop`. `features` are the
    values that the answer was computed from, by `view__feature`; the log has no time of their own
    beside the event time, and `flags` say which were unknown or too old. `decision` is that of a
    binary problem, `predicted_class` that of several classes; of a regression the score is the
    answer. `label` is what came true, None as long as nobody knows.
    """

    use_case: str
    prediction_id: str
    answered_at: str
    event_time: str
    request: dict[str, Any]
    hidden: dict[str, str]
    features: dict[str, Any]
    flags: tuple[str, ...]
    latency_ms: float | None
    score: float
    decision: bool | None
    predicted_class: str | None
    answered_by: AnsweredBy
    again: Rescored
    feedback: tuple[dict[str, Any], ...]
    label: Any
    reviews: tuple[Review, ...]

    def as_json(self) -> dict[str, Any]:
        """All fields as plain JSON."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain

    @property
    def decided(self) -> bool | str | None:
        """What was decided: the decision or the class; None of a regression."""
        return self.decision if self.predicted_class is None else self.predicted_class

    @property
    def outcome(self) -> str:
        """What was answered, in words."""
        if self.predicted_class is not None:
            return f"{self.predicted_class} (probability {self.score:.4g})"
        if self.decision is None:
            return f"{self.score:.6g}"
        return f"{'yes' if self.decision else 'no'} (probability {self.score:.4g})"


def decision_record(settings: Settings, use_case: UseCase, prediction_id: str) -> DecisionRecord:
    """Gather what the stores hold about one answer.

    Raises `DataError` where the log has no such answer, with the reason. A package that is gone, or
    inputs that are hidden, are told in the record.
    """
    row = logged_answer(settings, use_case, prediction_id)
    answer = row.row(0, named=True)
    ledger_rows = Ledger(settings).rows(use_case.name)
    event_time: datetime = answer[use_case.event_time]
    answered_at: datetime = answer["answered_at"]
    is_binary = use_case.problem.kind == "binary"
    names = dict.fromkeys([use_case.id_column, *use_case.request_columns])
    return DecisionRecord(
        use_case=use_case.name,
        prediction_id=prediction_id,
        answered_at=answered_at.isoformat(),
        event_time=event_time.isoformat(),
        request={name: answer[name] for name in names if name in answer},
        hidden=dict(Redaction(settings, use_case).marked),
        features=_features(use_case, answer),
        flags=tuple(answer["flags"] or ()),
        latency_ms=answer["latency_ms"],
        score=answer["score"],
        decision=answer["decision"] if is_binary else None,
        predicted_class=answer.get("predicted_class"),
        answered_by=answered_by(ledger_rows, answer, answered_at),
        again=rescore(settings, use_case, row),
        feedback=_feedback(settings, use_case, prediction_id),
        label=_label(settings, use_case, row),
        reviews=tuple(reviews(ledger_rows, prediction_id)),
    )


def _features(use_case: UseCase, answer: dict[str, Any]) -> dict[str, Any]:
    """What is declared, and what an older version read that is declared no more."""
    declared = feature_types(use_case)
    former = [
        name
        for name, value in answer.items()
        if "__" in name and name not in use_case.request_columns and value is not None
    ]
    names = [name for name in dict.fromkeys([*declared, *former]) if name in answer]
    return {name: answer[name] for name in names}


def _feedback(
    settings: Settings, use_case: UseCase, prediction_id: str
) -> tuple[dict[str, Any], ...]:
    ship_feedback(settings, use_case.name)
    tables, name = TableStore(settings.tables_uri), feedback_table(use_case.name)
    if not tables.exists(name):
        return ()
    rows = tables.read(name, where=pl.col("prediction_id") == prediction_id).sort("received_at")
    return tuple(rows.select("name", "value", "text", "known_at", "received_at").to_dicts())


def _label(settings: Settings, use_case: UseCase, row: pl.DataFrame) -> Any:
    labelled = labelled_rows(use_case, settings, TableStore(settings.tables_uri), row)
    return labelled[LABEL][0] if labelled.height else None


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value.isoformat() if isinstance(value, datetime) else value
