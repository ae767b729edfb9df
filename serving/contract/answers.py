"""What the endpoint answers, as pydantic models: the source of the OpenAPI document and of the
tests.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Probability = Annotated[float, Field(ge=0.0, le=1.0)]
ModelVersion = Annotated[
    int | None,
    Field(
        ge=1,
        description="The version that answered; null where the rows fell on several, during a"
        " release: then each prediction names its own.",
    ),
]


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Answered(_Answer):
    """One answered row; it is in the inference log under its `prediction_id`."""

    prediction_id: str = Field(
        pattern="^[0-9a-f]{32}$", examples=["0190a0b4f0c07d1e9f6a3c2b1d0e4f5a"]
    )
    model_version: int | None = Field(
        default=None,
        ge=1,
        description="The version that answered this row; only where several answered the request.",
    )
    flags: list[str] = Field(
        description=(
            "`unknown:<view>`: no feature row for the key, its features count as missing."
            " `stale:<view>`: the newest row is older than the view's time to live at the event"
            " time, its features count as missing. `newer:<view>`: the newest row is later than"
            " the event time, its features are used though nobody knew them then."
            " `unseen:<input>`: a category that the model was not trained with, counts as missing."
        ),
        examples=[["unknown:plane"]],
    )


class Prediction(_Answered):
    """One answered row of a yes-or-no question."""

    probability: Probability = Field(examples=[0.2371])
    decision: bool = Field(
        description="Whether the probability reaches the model's decision threshold."
    )


class ValuePrediction(_Answered):
    """One answered row of a regression."""

    value: float = Field(description="In the label's unit.", examples=[12.5])


class ClassPrediction(_Answered):
    """One answered row of a problem with several classes."""

    predicted: str = Field(alias="class", description="The most probable class.")
    probabilities: dict[str, Probability] = Field(description="Of every class; they sum to 1.")


class Explanation(_Answer):
    """Why a row got its score: base value and contributions add up to the raw score, in log
    odds.
    """

    base_value: float = Field(
        description="The raw score of the average training row.", examples=[-1.13]
    )
    raw_score: float = Field(
        description="Log odds: probability = 1 / (1 + exp(-raw_score)).", examples=[-1.62]
    )
    contributions: dict[str, float] = Field(
        description="What each input of the model adds, exact TreeSHAP values."
    )


class ExplainedPrediction(Prediction):
    """A prediction with its reasons; both are in the inference log."""

    explanation: Explanation


class ExplainedValue(ValuePrediction):
    """The value of a regression with its reasons, in the label's unit; both are in the inference
    log.
    """

    explanation: Explanation


class ExplainAnswer(_Answer):
    """The predictions with their reasons, in the order of the request's rows."""

    use_case: str
    model_version: ModelVersion
    predictions: list[ExplainedPrediction | ExplainedValue]


class PredictAnswer(_Answer):
    """The predictions, in the order of the request's rows."""

    use_case: str
    model_version: ModelVersion
    predictions: list[Prediction | ValuePrediction | ClassPrediction]


class FeedbackAnswer(_Answer):
    """What became of each row of feedback, by prediction id; all but `recorded` changed nothing."""

    use_case: str
    recorded: list[str] = Field(description="New, and durable.")
    repeated: list[str] = Field(description="Told before with the same content.")
    conflicting: list[str] = Field(
        description="Told before with another content; the first one stays."
    )
    unknown: list[str] = Field(
        description="No answer of this use case is known by this id, or it is too old for feedback."
    )


class ErrorDetail(_Answer):
    """What was wrong, where, and what is valid."""

    code: str = Field(examples=["unknown_field"])
    message: str
    field: str | None = Field(description="Path of the field at fault, such as `rows[0].carrier`.")
    valid: list[str] | None = Field(
        default=None, description="What is valid instead, where that helps."
    )


class ErrorAnswer(_Answer):
    """Every answer with a status of 400 or more."""

    error: ErrorDetail


class ArmStatus(_Answer):
    """A version of the plan in force."""

    role: str = Field(examples=["challenger"])
    version: int
    digest: str
    share: float = Field(description="Of the rows, 0 to 1.", examples=[0.05])
    since: datetime | None = Field(
        description="When this process loaded it; null while it is not loaded."
    )


class ShadowStatus(_Answer):
    """The version of the plan in force that scores what was answered, in a process of its own."""

    version: int
    digest: str
    error: str | None = Field(description="Why it does not score at present; null while it does.")
    dropped_rows: int = Field(
        description="Rows that it was too slow for, or dead, since its start."
    )


class PlanStatus(_Answer):
    """The plan in force."""

    sequence: int = Field(description="The ledger's row that decided it, 0 before the first.")
    decided_by: str = Field(description="That row's hash, or that it was written by hand.")
    unit: list[str] = Field(
        description="The fields of a row whose values decide its arm; the entity keys where empty."
    )
    arms: list[ArmStatus]
    shadow: ShadowStatus | None


Loading = Literal["none", "untried", "ready", "loaded", "failed"]


class ModelStatus(_Answer):
    """What serves for one use case, and what should. `version` is the champion's, loaded or ready
    to be, null before the first model.
    """

    use_case: str
    version: int | None
    digest: str | None
    since: datetime | None
    run_id: str | None
    feature_service: str | None
    desired_version: int | None
    last_error: str | None
    features_ready: bool
    loading: Loading = Field(
        default="none",
        description="Of the process that answers. `loaded`: the model is in memory. `ready`: it was"
        " loaded here or tried, is not in memory, and the next request has it loaded. `untried`:"
        " it is next to be tried by a child process, or by the first request. `failed`: it could"
        " not be loaded; `last_error` says why. `none`: no version is in service.",
    )
    plan: PlanStatus | None = None


class LogStatus(_Answer):
    """Whether the inference log takes rows; while it does not, predictions are refused with 503, or
    go on unlogged (`log_full`).

    `dropped_rows` were answered and are missing from the log, `damaged_rows` were logged and
    lost to damage of a file before they were shipped; both by use case, since ever.
    """

    writable: bool
    error: str | None
    dropped_rows: dict[str, int] = Field(default_factory=dict)
    damaged_rows: dict[str, int] = Field(default_factory=dict)


class ModelsAnswer(_Answer):
    """All use cases of this endpoint."""

    models: list[ModelStatus]
    log: LogStatus


class InputDescription(_Answer):
    """One column of the model's matrix, and where its value comes from."""

    name: str
    source: str = Field(
        description=(
            "`<view>:<feature>` of the feature store, or the entity key or request field of this"
            " name."
        )
    )
    kind: str
    description: str


class RunningModel(_Answer):
    """The model that serves.

    `metrics` are those of its test split, `trained_on` is the window of rows that it was made from,
    `explainable` says whether `/explain` gives reasons for its answers.
    """

    estimator: str
    explainable: bool
    classes: list[str]
    decision_threshold: float
    trained_on: tuple[datetime, datetime]
    metrics: dict[str, float]
    libraries: dict[str, str]
    code_commit: str


class ModelAnswer(_Answer):
    """A use case: what it predicts, what a request holds, which model serves and where that comes
    from.
    """

    title: str
    owner: str
    task: str
    problem: str
    entity_keys: list[str]
    request_fields: list[str]
    event_time: str
    id_column: str
    features: list[str] = Field(
        description="What a row's `features` must hold, where it brings its own."
    )
    max_rows: int
    unknown_entities: str
    stale_features: str
    newer_features: str
    explain_share: float
    inputs: list[InputDescription]
    status: ModelStatus
    model: RunningModel | None


class CheckAnswer(_Answer):
    """The served model's golden rows scored again, and their keys looked up in the online store.

    Nothing is logged.
    """

    use_case: str
    version: int
    digest: str
    rows: int
    largest_difference: float
