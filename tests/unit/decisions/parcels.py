"""A home whose log holds the answers of version 1 of the synthetic parcels, which a row of the
ledger put into service, and who reviews them.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from include.decisions.right import DECISION, OVERTURN
from include.inference_log.log import feedback_table, log_schema, log_table
from include.inference_log.log_tables import FEEDBACK_SCHEMA
from include.interval import Interval
from include.model.package import ScoringModel
from include.model.signing import attach_signature, sign_package
from include.processes.release_results import PersonsAnswer, PersonsRequest
from include.release.approval import REASON, Answer
from include.release.ledger import Ledger
from include.release.model_store import version_folder
from include.release.rollout.decisions import champion_arm, decide
from include.settings import Settings, load_settings
from include.spec import Review, UseCase
from include.steps import RunInfo, StepContext
from include.tables.store import TableStore
from tests.unit.model.synthetic import USE_CASE, fitted_package, parcels

REVIEWED = USE_CASE.model_copy(
    update={"review": Review(reviewers=("reviewer", "second"), share=0.2, band=0.05)}
)
NAME = REVIEWED.name
ROWS = 60
RELEASED_BY, RELEASED_FOR = "engineer", "better on every slice"


class Answered:
    """`ids[n]` is the prediction id of row n, answered at `start` and n seconds."""

    def __init__(self, folder: Path) -> None:
        self.settings: Settings = load_settings({"FLIGHTDECK_HOME": str(folder)})
        package = version_folder(self.settings, NAME, 1)
        package.parent.mkdir(parents=True)
        self.digest, self.model = fitted_package(package, parcels())
        attach_signature(package, sign_package(self.settings, package, self.digest))
        self.package = package
        self.ledger = Ledger(self.settings)
        self.promotion, _ = decide(
            self.settings,
            self.ledger,
            "promoted",
            1,
            self.digest,
            use_case=REVIEWED,
            arms=(champion_arm(1, self.digest),),
            actor=RELEASED_BY,
            reason=RELEASED_FOR,
            evidence={"run": {"process": "deployment", "run_id": "first"}},
            after=0,
        )
        self.start = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=1)
        self.frame = parcels(ROWS, seed=3)
        self.ids = [self._id(number) for number in range(ROWS)]
        self._log(self.model)

    @property
    def window(self) -> Interval:
        """All answers."""
        return Interval(self.start, self.start + timedelta(hours=1))

    def _id(self, number: int) -> str:
        moment = self.start + timedelta(seconds=number)
        return f"{round(moment.timestamp() * 1000):012x}7{number:03x}8{number:015x}"

    def _log(self, model: ScoringModel) -> None:
        answers = self.frame.with_columns(
            *model.metadata.answers.columns(model.score_frame(self.frame))
        )
        columns: dict[str, list[Any]] = {
            "prediction_id": self.ids,
            "model_version": [1] * ROWS,
            "answered_at": [self.start + timedelta(seconds=number) for number in range(ROWS)],
            "arm": ["champion"] * ROWS,
            "plan": [self.promotion.number] * ROWS,
            "model_digest": [self.digest] * ROWS,
            "flags": [["stale:depot_daily"] if number == 0 else [] for number in range(ROWS)],
            **{name: answers[name].to_list() for name in answers.columns},
        }
        schema = log_schema(REVIEWED)
        rows = pl.DataFrame(
            {name: columns.get(name, [None] * ROWS) for name in schema}, schema=schema, strict=False
        )
        tables = TableStore(self.settings.tables_uri)
        tables.replace_all(log_table(NAME), rows)
        labels = self.frame.select("parcel_id", "late", "known_at")
        tables.replace_all("raw/deliveries", labels.head(1))
        self._tell(tables)

    def _tell(self, tables: TableStore) -> None:
        """Row 1 was worth something to the application."""
        told = {
            "sequence": 0,
            "prediction_id": self.ids[1],
            "name": "reward",
            "value": -2.5,
            "text": None,
            "known_at": self.start,
            "received_at": self.start,
        }
        tables.replace_all(feedback_table(NAME), pl.DataFrame([told], schema=FEEDBACK_SCHEMA))

    def context(
        self, run_id: str, row: int = 0, *, by: str = "engineer", use_case: UseCase = REVIEWED
    ) -> StepContext:
        """A run that asks for the review of a row."""
        params = {"prediction_id": self.ids[row], "reason": "the parcel was never sent"}
        run = RunInfo("decision_review", run_id, "manual", by, params=params)
        return StepContext(use_case, self.settings, self.window, run)


def answer_to(
    request: PersonsRequest,
    *,
    by: str | None = "reviewer",
    chosen: str = OVERTURN,
    reason: str = "the depot's load was wrong",
    decision: str | None = None,
    people: tuple[str, ...] = ("engineer",),
    **changes: Any,
) -> PersonsAnswer:
    """What Airflow's API says of the request after that person has answered it."""
    moment = datetime.now(UTC)
    answer = Answer(
        task_id="request_review",
        try_number=1,
        task_state="success",
        subject=request.subject,
        body=request.body,
        created_at=moment - timedelta(minutes=5),
        answered_at=moment,
        chosen=(chosen,),
        responder_id=by,
        responder_name=by,
        inputs={REASON: reason, DECISION: decision},
    ).model_copy(update=changes)
    user = None if by is None else {"id": by, "name": by}
    passed_on = {"chosen_options": [chosen], "responded_by_user": user}
    return PersonsAnswer(answer=answer, people=people, passed_on=passed_on)
