"""Which estimator a use case trains: XGBoost, or anything of scikit-learn."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, model_validator

from include.spec.base import Part

SKLEARN_CLASS = re.compile(r"^sklearn(\.[a-z_][a-z0-9_]*)+\.[A-Z]\w*$")
FUNCTION = re.compile(r"^[a-z_][a-z0-9_]*$")
TRUSTED_TYPE = re.compile(r"^(sklearn|numpy|scipy|include\.use_cases\.[a-z0-9_]+)\.[\w.]+$")


class XGBoost(Part):
    """Gradient-boosted trees with native categories, early stopping and monotone inputs;
    `Training.parameters` are XGBoost's.

    `device`: where it is fitted; `None` takes `FLIGHTDECK_TRAINING_DEVICE`. It always predicts on
    the CPU.
    """

    kind: Literal["xgboost"] = "xgboost"
    device: Literal["cpu", "cuda"] | None = None

    @property
    def label(self) -> str:
        """What records and errors call it."""
        return "xgboost"


class ScikitLearn(Part):
    """A scikit-learn estimator or pipeline; `Training.parameters` are its own (`step__parameter`
    inside a pipeline).

    Declare one of `path` (a class, e.g. `sklearn.linear_model.LogisticRegression`) and `factory`:
    the name of a function `(use_case, transform) -> estimator` in the use case's `model.py`,
    imported inside tasks only. With `prepare`, medians for missing numbers, standardised numbers
    and one column per category come in front; without it, the estimator gets the matrix of
    `FeatureTransform` itself (float32, NaN = missing, categories as codes). `random_state` follows
    the training's seed unless declared. `trusted_types` are types beyond Flightdeck's own list
    (docs/estimators.md) that the fitted model may hold, by full name; a model with another one is
    refused before anything of it is loaded. A repetition of the training may differ by at most
    `reproduce_tolerance` in any score, where its bytes differ.
    """

    kind: Literal["sklearn"] = "sklearn"
    path: str | None = None
    factory: str | None = None
    prepare: bool = True
    trusted_types: tuple[str, ...] = ()
    reproduce_tolerance: float = Field(default=1e-9, ge=0.0)

    @property
    def label(self) -> str:
        """What records and errors call it: the class's path, or `model:<function>`."""
        return self.path if self.path is not None else f"model:{self.factory}"

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
