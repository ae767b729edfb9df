"""Which estimator a use case trains: XGBoost, or anything of scikit-learn."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from include.spec.base import Part, suggestion

if TYPE_CHECKING:
    from include.spec.training import Training

DERIVED = (
    "objective",
    "eval_metric",
    "num_class",
    "seed",
    "random_state",
    "nthread",
    "device",
    "monotone_constraints",
)
"""Parameters of XGBoost that follow from other declarations."""
PARAMETERS = (
    *("alpha", "base_score", "booster", "colsample_bylevel", "colsample_bynode"),
    *("colsample_bytree", "disable_default_eval_metric", "eta", "gamma", "grow_policy"),
    *("interaction_constraints", "lambda", "learning_rate", "max_bin", "max_cached_hist_node"),
    *("max_cat_threshold", "max_cat_to_onehot", "max_delta_step", "max_depth", "max_leaves"),
    *("min_child_weight", "min_split_loss", "multi_strategy", "num_parallel_tree"),
    *("process_type", "refresh_leaf", "reg_alpha", "reg_lambda", "sampling_method"),
    *("scale_pos_weight", "seed_per_iteration", "subsample", "tree_method", "updater"),
    *("validate_parameters", "verbosity"),
)
"""XGBoost's own names of what may be declared of trees; a test asks XGBoost for each."""
PAST_MEMORY = {"tree_method": ("hist",), "booster": ("gbtree", "dart")}
"""Values of parameters by which XGBoost fits rows that are not all in memory."""
DART = ("normalize_type", "one_drop", "rate_drop", "sample_type", "skip_drop")
INSTEAD = {
    "n_estimators": "training.boost_rounds",
    "num_boost_round": "training.boost_rounds",
    "early_stopping_rounds": "training.early_stopping_rounds",
    "n_jobs": "FLIGHTDECK_TRAINING_THREADS",
}
"""Where what XGBoost's other interfaces call so is declared here."""
REFUSED_SIGNS = ("[", "]", "<")
"""XGBoost takes no name of a feature with one of them."""
SKLEARN_CLASS = re.compile(r"^sklearn(\.[a-z_][a-z0-9_]*)+\.[A-Z]\w*$")
FUNCTION = re.compile(r"^[a-z_][a-z0-9_]*$")
TRUSTED_TYPE = re.compile(r"^(sklearn|numpy|scipy|include\.use_cases\.[a-z0-9_]+)\.[\w.]+$")


class XGBoost(Part):
    """Gradient-boosted trees with native categories, early stopping and monotone inputs;
    `Training.parameters` are XGBoost's. It always predicts on the CPU.
    """

    kind: Literal["xgboost"] = Field(default="xgboost", description="The kind's name.")
    device: Literal["cpu", "cuda"] | None = Field(
        default=None,
        description="Where it is fitted. None by default: as `FLIGHTDECK_TRAINING_DEVICE` says.",
    )

    @property
    def label(self) -> str:
        """What records and errors call it."""
        return "xgboost"

    def check(self, training: Training, monotone: list[str]) -> None:  # noqa: ARG002  # it takes them
        """Raise `ValueError` where the training sets what follows from other declarations."""
        derived = sorted({*training.parameters, *training.search_space} & set(DERIVED))
        if derived:
            raise ValueError(
                f"training.parameters or search_space set {derived}, which Flightdeck derives: from"
                " problem, training.seed, inputs' monotone, estimator.device and"
                " FLIGHTDECK_TRAINING_THREADS"
            )
        if training.fit_in != "memory":
            self._check_past_memory(training)

    def _check_past_memory(self, training: Training) -> None:
        """Only histograms of quantised rows, made on CPUs, can be added up over pages or hosts."""
        where = f"training.fit_in is {training.fit_in!r}"
        if self.device == "cuda":
            raise ValueError(
                f"{where}, which fits on the CPU, and training.estimator.device is 'cuda'; leave"
                " the device out, or write fit_in='memory'"
            )
        for name, valid in PAST_MEMORY.items():
            declared = training.parameters.get(name, valid[0])
            if declared not in valid:
                raise ValueError(
                    f"{where}, and training.parameters sets {name!r} to {declared!r}, which needs"
                    f" all rows in memory; valid: {list(valid)}, or write fit_in='memory'"
                )

    def check_names(self, training: Training, inputs: Sequence[str]) -> None:
        """Raise `ValueError` for a parameter or an input's name that XGBoost does not take.

        XGBoost itself trains on without a word of a misspelt parameter, and a search would record
        it.
        """
        dart = training.parameters.get("booster") == "dart"
        valid = [*PARAMETERS, *(DART if dart else ())]
        for field in ("parameters", "search_space"):
            for name in getattr(training, field):
                if name in INSTEAD:
                    raise ValueError(
                        f"training.{field} sets {name!r}, which is declared as {INSTEAD[name]}"
                    )
                if name not in valid:
                    raise ValueError(
                        f"training.{field} sets {name!r}, which XGBoost does not know"
                        f"{suggestion(name, valid)}"
                    )
        for name in inputs:
            signs = [sign for sign in REFUSED_SIGNS if sign in name]
            if signs:
                raise ValueError(
                    f"inputs: the name {name!r} holds {' and '.join(signs)}, which XGBoost takes in"
                    f" no feature's name (none of {' '.join(REFUSED_SIGNS)}); call it otherwise"
                )


class ScikitLearn(Part):
    """A scikit-learn estimator or pipeline; `Training.parameters` are its own (`step__parameter`
    inside a pipeline).

    Declare one of `path` and `factory`. `random_state` follows the training's seed unless declared.
    A model with a type that is not trusted is refused before anything of it is loaded.
    """

    kind: Literal["sklearn"] = Field(default="sklearn", description="The kind's name.")
    path: str | None = Field(
        default=None,
        description=(
            "A class, such as `sklearn.linear_model.LogisticRegression`. None by default: a factory"
            " makes it."
        ),
    )
    factory: str | None = Field(
        default=None,
        description=(
            "The name of a function `(use_case, transform) -> estimator` in the use case's"
            " `model.py`, imported inside tasks only. None by default: the class at `path` is made"
            " without arguments."
        ),
    )
    prepare: bool = Field(
        default=True,
        description=(
            "Whether medians for missing numbers, standardised numbers and one column per category"
            " come in front. True by default: most estimators need all three. False: the estimator"
            " gets the matrix of `FeatureTransform` itself (float32, NaN = missing, categories as"
            " codes)."
        ),
    )
    trusted_types: tuple[str, ...] = Field(
        default=(),
        description=(
            "Types beyond Flightdeck's own list (docs/estimators.md) that the fitted model may"
            " hold, by full name. Empty by default: each one is code that loading may run."
        ),
    )
    reproduce_tolerance: float = Field(
        default=1e-9,
        ge=0.0,
        description=(
            "Largest difference of any score between a training and its repetition where their"
            " bytes differ, in the score's unit. 1e-9 by default: the last digits of a sum."
        ),
    )

    @property
    def label(self) -> str:
        """What records and errors call it: the class's path, or `model:<function>`."""
        return self.path if self.path is not None else f"model:{self.factory}"

    def check(self, training: Training, monotone: list[str]) -> None:
        """Raise `ValueError` where inputs are monotone, which no estimator here promises, or rows
        shall not all be in memory.
        """
        if training.fit_in != "memory":
            raise ValueError(
                f"training.fit_in is {training.fit_in!r}, but training.estimator is scikit-learn's"
                f" {self.label}, which is fitted on all rows in memory; write fit_in='memory' with"
                " a shorter training.window_days, or use XGBoost"
            )
        if monotone:
            raise ValueError(
                f"inputs {monotone} are monotone, but training.estimator is scikit-learn's"
                f" {self.label}: only XGBoost takes monotone inputs; use it, or give"
                " gates.directions, which judge what the fitted model does"
            )

    def check_names(self, training: Training, inputs: Sequence[str]) -> None:
        """What the estimator takes is known where it can be imported: `flightdeck declarations`."""

    @model_validator(mode="after")
    def _one_declaration(self) -> ScikitLearn:
        if (self.path is None) == (self.factory is None):
            raise ValueError(
                "declare either path (a class of scikit-learn) or factory (a function in the use"
                " case's model.py)"
            )
        if self.path is not None and not SKLEARN_CLASS.match(self.path):
            raise ValueError(
                f"path {self.path!r} is no class of scikit-learn such as"
                " 'sklearn.linear_model.LogisticRegression'; for an estimator of your own write a"
                " factory function in the use case's model.py"
            )
        if self.factory is not None and not FUNCTION.match(self.factory):
            raise ValueError(
                f"factory {self.factory!r} must be the name of a function in the use case's"
                " model.py, without a module"
            )
        wrong = [name for name in self.trusted_types if not TRUSTED_TYPE.match(name)]
        if wrong:
            raise ValueError(
                f"trusted_types {wrong}: only types of sklearn, numpy, scipy and"
                " include.use_cases.<name> can be trusted"
            )
        return self


Estimator = Annotated[XGBoost | ScikitLearn, Field(discriminator="kind")]
