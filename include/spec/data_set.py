"""A data set: labelled questions with what was known when each was asked, declared once and trained
on by any number of models.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from pydantic import Field, model_validator

from include.spec.base import Part, suggestion
from include.spec.training import Golden

FEATURE = re.compile(r"^\w+:[^:]+$")
NAME = re.compile(r"^[a-z][a-z0-9_]{2,62}$")

Sensitivity = Literal["public", "internal", "confidential", "personal"]


DESCRIBED = (
    "description",
    "owner",
    "licence",
    "purpose",
    "sensitivity",
    "columns",
    "features",
    "label_columns",
)
"""What a data set with a name of its own must say, and one without takes over from its use case."""


class DataSet(Part):
    """Which rows and columns a training set has, and what people should know of it.

    A row of `entity_table` is a question, asked at its event time. Features are joined as they were
    known then; labels come from a table of their own.

    Use cases that name the same data set share its tables: the same window is one version with one
    digest, whichever of them builds it first. Each chooses its label and its inputs among the set's
    columns. A data set without a name is its use case's alone: it is called like it and holds the
    columns that it needs, so that nothing is said twice.
    """

    name: str = Field(
        default="",
        description="The set's name and the folder of its tables. Empty by default: the use"
        " case's.",
    )
    description: str = Field(
        default="", description="What its rows are. Empty by default: the use case's `data`."
    )
    owner: str = Field(
        default="",
        description="Who answers for the data: an e-mail address. Empty by default: the use case's"
        " owner.",
    )
    licence: str = Field(
        default="", description="The source's licence. Empty by default: not declared."
    )
    purpose: str = Field(
        default="",
        description="What it may be used for. Empty by default: the use case's `task`.",
    )
    limits: tuple[str, ...] = Field(
        default=(), description="What the data cannot tell, a sentence each. Empty by default."
    )
    sensitivity: Sensitivity = Field(
        default="internal",
        description=(
            "How it may be passed on. `internal` by default: nobody said that more may see it. Of"
            " `personal` data the id and the entity keys must be marked `hash` or `drop`"
            " (`Column.privacy`), and `serving.log_days` must be set."
        ),
    )
    entity_table: str = Field(
        description="Table with one row per question: its id, event time, entity keys and request"
        " fields."
    )
    id_column: str = Field(description="Identifies one question, e.g. one flight.")
    event_time: str = Field(
        description="Column of the entity table with the moment at which the question is asked."
    )
    columns: tuple[str, ...] = Field(
        default=(),
        description=(
            "Entity keys and request fields that a row carries. Empty by default: those of the use"
            " case's `serving`."
        ),
    )
    feature_service: str = Field(description="Feast's feature service that holds all features.")
    features: tuple[str, ...] = Field(
        default=(),
        description="`<feature view>:<feature>` of all features. Empty by default: those of the use"
        " case's inputs.",
    )
    label_table: str = Field(
        description="Table with the labels: rows of `id_column`, labels and `label_time`."
    )
    label_time: str = Field(
        description="Column of the label table with the moment at which the label became known."
    )
    label_columns: tuple[str, ...] = Field(
        default=(),
        description="Columns of the label table that a model may learn. Empty by default: the use"
        " case's label.",
    )
    filters: tuple[str, ...] = Field(
        default=(),
        description="Conditions in SQL over the entity table's columns, all of which a row must"
        " meet to belong to the set. Empty by default.",
    )
    golden: Golden | None = Field(
        default=None,
        description="The rows that are set aside for all its models. None by default: no golden"
        " set.",
    )

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

    def completed(self, **taken_over: Any) -> DataSet:
        """A set of its own as it is; one without a name with what its use case says.

        The result passes the same checks as a declared one.
        """
        if self.name:
            return self
        declared = {name: value for name, value in dict(self).items() if value not in ("", ())}
        return DataSet.model_validate({**taken_over, **declared})

    def check_holds(self, field: str, names: Iterable[str], valid: Sequence[str]) -> None:
        """Raise `ValueError` where a use case names something that the set does not hold."""
        for name in names:
            if name not in valid:
                raise ValueError(
                    f"{field} names {name!r}, which the data set {self.name!r} does not"
                    f" hold{suggestion(name, valid)}"
                )

    @model_validator(mode="after")
    def _consistent(self) -> DataSet:
        wrong = [reference for reference in self.features if not FEATURE.match(reference)]
        if wrong:
            raise ValueError(
                f"data set {self.name!r}: features {wrong} are not written as '<feature"
                " view>:<feature>'"
            )
        if not self.name:
            return self
        if not NAME.match(self.name):
            raise ValueError(f"data set {self.name!r}: a name must match {NAME.pattern}")
        missing = [
            name
            for name in DESCRIBED
            if name not in self.model_fields_set or getattr(self, name) == ""
        ]
        if missing:
            raise ValueError(
                f"data set {self.name!r} lacks {missing}, which a set with a name of its own must"
                " say; leave out the name of a set that one use case alone trains on"
            )
        if not self.label_columns:
            raise ValueError(
                f"data set {self.name!r}: label_columns is empty; name at least one column of"
                f" {self.label_table!r}"
            )
        return self
