"""A data set: labelled questions with what was known when each was asked, declared once and trained
on by any number of models.
"""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, model_validator

from include.spec.base import Part
from include.spec.training import Golden

FEATURE = re.compile(r"^\w+:\w+$")
NAME = re.compile(r"^[a-z][a-z0-9_]{2,62}$")

Sensitivity = Literal["public", "internal", "confidential", "personal"]


class DataSet(Part):
    """Which rows and columns a training set has, and what people should know of it.

    A row of `entity_table` is a question: `id_column` names it, `event_time` says when it was
    asked, `columns` are the entity keys and request fields that it carries. `features`
    (`<view>:<feature>`, all those of Feast's `feature_service`) are joined as they were known then;
    `label_columns` come from `label_table`, where `label_time` says when they became known. Every
    one of `filters`, a condition in SQL over the entity table's columns, must hold for a row to
    belong to the set. The rows of `golden` are set aside for all its models.

    Use cases that name the same data set share its tables: the same window is one version with one
    digest, whichever of them builds it first. Each chooses its label and its inputs among the set's
    columns. `limits` are what the data cannot tell.
    """

    name: str
    description: str
    owner: str = Field(description="Who answers for the data: an e-mail address.")
    licence: str
    purpose: str = Field(description="What it may be used for.")
    limits: tuple[str, ...] = ()
    sensitivity: Sensitivity
    entity_table: str
    id_column: str
    event_time: str
    columns: tuple[str, ...]
    feature_service: str
    features: tuple[str, ...]
    label_table: str
    label_time: str
    label_columns: tuple[str, ...]
    filters: tuple[str, ...] = ()
    golden: Golden | None = None

    @property
    def question_columns(self) -> list[str]:
        """Id, event time, entity keys and request fields, in this order."""
        return list(dict.fromkeys([self.id_column, self.event_time, *self.columns]))

    @property
    def all_columns(self) -> list[str]:
        """The columns of a version: the question's, `<view>__<feature>` of every feature, the
        labels, the moment they were known.
        """
        features = [reference.replace(":", "__") for reference in self.features]
        return list(
            dict.fromkeys([*self.question_columns, *features, *self.label_columns, self.label_time])
        )

    @model_validator(mode="after")
    def _consistent(self) -> DataSet:
        if not NAME.match(self.name):
            raise ValueError(f"data set {self.name!r}: a name must match {NAME.pattern}")
        wrong = [reference for reference in self.features if not FEATURE.match(reference)]
        if wrong:
            raise ValueError(
                f"data set {self.name!r}: features {wrong} are not written as '<feature"
                " view>:<feature>'"
            )
        if not self.label_columns:
            raise ValueError(
                f"data set {self.name!r}: label_columns is empty; name at least one column of"
                f" {self.label_table!r}"
            )
        return self
