"""What a use case predicts: `Binary`, `Multiclass` or `Regression`, each with the thresholds, label
rules and loss that only it has.

`include.problems` computes with them; whoever needs to know what a problem asks for calls a method
of one of the two and never asks which kind it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from include.spec.base import Part, Share, one_of
from include.spec.expectations import FairnessGroups
from include.spec.values import ColumnType

if TYPE_CHECKING:
    from include.spec.use_case import UseCase

ProblemKind = Literal["binary", "multiclass", "regression"]
"""How a kind is called in metadata.json, in MLflow and in answers."""

MINIMUM_CLASSES = 3
BINARY_CLASSES = 2
SHARES_OF_LOSS = (
    "min_baseline_skill",
    "min_champion_improvement",
    "max_slice_loss_increase",
    "max_simple_model_deficit",
    "min_golden_gain",
)
"""Limits of gates that are a share of the best constant's loss, of a regression."""


class ProblemDeclaration(Part):
    """What every kind of problem declares, and what the rest of Flightdeck may ask of it."""

    kind: ProblemKind
    """The kind's name, as metadata.json and MLflow have it; each kind narrows it to its own."""

    thresholds_of_kind: ClassVar[tuple[str, ...]] = ()
    """The fields that are absolute thresholds of gates."""
    label_is_rate: ClassVar[bool] = False
    """Whether the mean of the label column is a share of positives."""
    answer_columns: ClassVar[dict[str, ColumnType]] = {}
    """Columns that a prediction has beside `score` and `decision`, with their types."""
    required_answers: ClassVar[tuple[str, ...]] = ("score",)
    """The columns of a prediction that must never be null."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """The declared classes in the order of the probabilities; empty where none are declared."""
        return ()

    @property
    def class_count(self) -> int:
        """How many classes the label has; 0 for a number."""
        return BINARY_CLASSES

    @property
    def thresholds(self) -> dict[str, float]:
        """The absolute thresholds by field name."""
        return {name: getattr(self, name) for name in self.thresholds_of_kind}

    @property
    def loss_declaration(self) -> dict[str, Any]:
        """What of the label and the loss a search for parameters depends on, as plain JSON."""
        return {"classes": list(self.class_names)}

    def check(self, use_case: UseCase) -> None:
        """Raise `ValueError` with the field and what to write instead where another declaration of
        the use case contradicts the problem.
        """
        self._check_weights(use_case)
        for declared in use_case.gates.fairness:
            self._check_fairness(declared)

    def check_limits(self, use_case: UseCase) -> None:
        """Raise `ValueError` where another declaration leaves a gate nothing to decide: a
        probability changes by 1 at most.
        """
        for field, value in use_case.gates.changes_of_scores.items():
            if value > 1.0:
                raise ValueError(
                    f"{field} is {value:g}; of problem={type(self).__name__}(...) it is a change of"
                    " a probability, and at most 1"
                )

    def check_monotone(self, names: list[str]) -> None:
        """Raise `ValueError` where inputs that are declared monotone cannot be."""

    def _check_weights(self, use_case: UseCase) -> None:
        weights = use_case.training.class_weights
        if weights is not None and len(weights) != self.class_count:
            raise ValueError(
                f"training.class_weights has {len(weights)} weights for {self.class_count} classes;"
                " give one a class, in their order"
            )

    def _check_fairness(self, declared: FairnessGroups) -> None:
        if declared.max_error_difference is not None:
            raise ValueError(
                f"gates.fairness of {declared.column!r}: max_error_difference is"
                f" {declared.max_error_difference} and belongs to problem=Regression(...); leave it"
                " out, and use the limits on rates"
            )


class Binary(ProblemDeclaration):
    """The probability that a label of 0 or 1 is 1."""

    thresholds_of_kind = ("min_auc", "max_brier", "max_calibration_error")
    label_is_rate = True
    required_answers = ("score", "decision")

    kind: Literal["binary"] = Field(
        default="binary", description="The kind's name, as metadata.json and MLflow have it."
    )
    min_auc: Share = Field(
        description=(
            "Least area under the ROC curve on the test split, 0 to 1 (0.5 is chance). No default:"
            " what is good enough is the use case's to say."
        )
    )
    max_brier: float = Field(
        ge=0.0,
        le=1.0,
        description=(
            "Largest Brier score on the test split, 0 to 1: the mean squared error of the"
            " probability. No default: it depends on how often the event happens."
        ),
    )
    max_calibration_error: Share = Field(
        description=(
            "Largest expected calibration error on the test split, in probability (0 to 1). No"
            " default: it depends on what the probability is used for."
        )
    )


class Multiclass(ProblemDeclaration):
    """The probabilities of several classes."""

    thresholds_of_kind = (
        "max_logloss",
        "min_auc",
        "max_brier",
        "max_calibration_error",
        "min_accuracy",
    )
    answer_columns = {"predicted_class": "string"}  # noqa: RUF012  # a ClassVar of the base
    required_answers = ("score", "predicted_class")

    kind: Literal["multiclass"] = Field(
        default="multiclass", description="The kind's name, as metadata.json and MLflow have it."
    )
    classes: tuple[str, ...] = Field(
        description=(
            f"The classes' names in the order of the probabilities, at least {MINIMUM_CLASSES}: the"
            " values of the label column, or the names that `bounds` cut its numbers into."
        )
    )
    bounds: tuple[float, ...] = Field(
        default=(),
        description=(
            "Where the label column holds numbers: the largest value of every class but the last,"
            " rising, in the column's unit. Empty by default: the column holds the classes' names."
        ),
    )
    positive: str | None = Field(
        default=None,
        description=(
            "The class whose prediction is the favour or the harm that fairness and directions are"
            " about. None by default: it is needed only where those are declared."
        ),
    )
    max_logloss: float = Field(
        gt=0.0,
        description="Largest log loss on the test split, in nats. No default: it depends on the"
        " number of classes.",
    )
    min_auc: Share = Field(
        description=(
            "Least macro AUC on the test split, 0 to 1: the mean over the classes of each against"
            " the rest. No default, as for a binary problem."
        )
    )
    max_brier: float = Field(
        ge=0.0,
        le=2.0,
        description=(
            "Largest Brier score on the test split, 0 to 2: squared errors summed over the classes."
            " No default, as for a binary problem."
        ),
    )
    max_calibration_error: Share = Field(
        description=(
            "Largest expected calibration error of the predicted class on the test split, in"
            " probability (0 to 1). No default, as for a binary problem."
        )
    )
    min_accuracy: Share = Field(
        description=(
            "Least share of test rows whose predicted class is right, 0 to 1. No default: it"
            " depends on the share of the commonest class."
        )
    )

    @property
    def class_names(self) -> tuple[str, ...]:
        """The declared classes."""
        return self.classes

    @property
    def class_count(self) -> int:
        """How many are declared."""
        return len(self.classes)

    @property
    def loss_declaration(self) -> dict[str, Any]:
        """Classes and where they are cut."""
        return {**super().loss_declaration, "bounds": list(self.bounds)}

    def check(self, use_case: UseCase) -> None:
        """See the base; classes, bounds and the positive class fit each other and their use."""
        self._check_classes()
        if use_case.baseline_input is not None:
            raise ValueError(
                f"baseline_input is {use_case.baseline_input!r}, one number, and"
                " problem=Multiclass(...) needs one a class; leave it out: the last value is then"
                " the class shares of the newest training rows"
            )
        uses = {
            "gates.directions": bool(use_case.gates.directions),
            "gates.fairness": bool(use_case.gates.fairness),
        }
        used = [field for field, declared in uses.items() if declared]
        if used and self.positive is None:
            raise ValueError(
                f"problem.positive is missing, which {' and '.join(used)} of a multiclass problem"
                f" are about; valid: {list(self.classes)}"
            )
        super().check(use_case)

    def check_monotone(self, names: list[str]) -> None:
        """Of several probabilities not all can rise."""
        if names:
            raise ValueError(
                f"inputs {names} are monotone, but problem is Multiclass: probabilities sum to 1,"
                " so not all of them can rise; leave monotone at 0"
            )

    def _check_classes(self) -> None:
        if len(self.classes) < MINIMUM_CLASSES:
            raise ValueError(
                f"problem.classes needs at least {MINIMUM_CLASSES} names, got {self.classes}; of"
                " two classes make a label of 0 and 1 and problem=Binary(...)"
            )
        if len(set(self.classes)) < len(self.classes):
            raise ValueError(f"problem.classes {self.classes} names a class twice")
        if self.bounds and (
            len(self.bounds) != len(self.classes) - 1
            or list(self.bounds) != sorted(set(self.bounds))
        ):
            raise ValueError(
                f"problem.bounds {self.bounds} must be {len(self.classes) - 1} rising numbers for"
                f" {len(self.classes)} classes: the last value of each class but the last"
            )
        if self.positive is not None:
            one_of("problem.positive", self.positive, self.classes)


class Regression(ProblemDeclaration):
    """A number in the label's unit."""

    thresholds_of_kind = (
        "max_rmse",
        "max_mae",
        "min_r2",
        "max_bias",
        "max_decile_error",
        "max_slice_bias",
    )

    kind: Literal["regression"] = Field(
        default="regression", description="The kind's name, as metadata.json and MLflow have it."
    )
    loss: Literal["squared", "absolute"] = Field(
        default="squared",
        description=(
            "The error that is minimised and compared: squared by default (the mean is predicted),"
            " or absolute (the median; large errors weigh less). The limits of `Gates` on losses"
            " take it as a share of the test labels' variance or mean absolute deviation, so that"
            " they fit any unit."
        ),
    )
    max_rmse: float = Field(
        gt=0.0,
        description="Largest root mean squared error on the test split, in the label's unit. No"
        " default: it depends on the unit.",
    )
    max_mae: float = Field(
        gt=0.0,
        description="Largest mean absolute error on the test split, in the label's unit. No"
        " default: it depends on the unit.",
    )
    min_r2: float = Field(
        le=1.0,
        description="Least R2 on the test split, at most 1 (0 is as good as the mean label). No"
        " default: what is good enough is the use case's to say.",
    )
    max_bias: float = Field(
        ge=0.0,
        description="Largest absolute mean error (prediction less label) on the test split, in the"
        " label's unit. No default: it depends on the unit.",
    )
    max_decile_error: float = Field(
        ge=0.0,
        description=(
            "Largest absolute mean error of a tenth of the test rows, by prediction, in the label's"
            " unit. No default: it depends on the unit."
        ),
    )
    max_slice_bias: float = Field(
        default=0.25,
        ge=0.0,
        description=(
            "Largest absolute mean error in a slice, in standard deviations of the test labels. A"
            " quarter by default: beyond that a slice is served visibly worse than the whole."
        ),
    )

    @property
    def class_count(self) -> int:
        """There are none."""
        return 0

    @property
    def loss_declaration(self) -> dict[str, Any]:
        """The loss."""
        return {**super().loss_declaration, "loss": self.loss}

    def check_limits(self, use_case: UseCase) -> None:
        """Limits that are a share, or in standard deviations of the labels, and not in the label's
        unit: above 1 they would let everything pass, or nothing.
        """
        limits = {
            "problem.max_slice_bias": (self.max_slice_bias, "in standard deviations"),
            "monitoring.max_bias": (use_case.monitoring.max_bias, "in standard deviations"),
            **{
                f"gates.{name}": (getattr(use_case.gates, name), "a share of the labels' spread")
                for name in SHARES_OF_LOSS
            },
        }
        for field, (value, unit) in limits.items():
            if value > 1.0:
                raise ValueError(
                    f"{field} is {value:g}; of problem=Regression(...) it is {unit}, not in the"
                    " label's unit, and at most 1"
                )

    def _check_weights(self, use_case: UseCase) -> None:
        if use_case.training.class_weights is not None:
            raise ValueError(
                f"training.class_weights is {use_case.training.class_weights}: it weighs classes,"
                " and problem=Regression(...) has none; leave it out"
            )

    def _check_fairness(self, declared: FairnessGroups) -> None:
        if declared.max_error_difference is None:
            raise ValueError(
                f"gates.fairness of {declared.column!r} needs max_error_difference (in the label's"
                " unit) for problem=Regression(...)"
            )


Problem = Annotated[Binary | Multiclass | Regression, Field(discriminator="kind")]
