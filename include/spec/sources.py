"""Where the rows of a table come from: files, a Delta table, a database, or a function.

Declared and not read here: `include.sources` reads. What is declared is recorded with every model,
so a password never stands in it: a database's URL is named by the variable or file that holds it.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from include.spec.base import Part, is_recorded
from include.spec.times import check_timezone

FUNCTION_NAME = re.compile(r"^[A-Za-z][A-Za-z0-9_]*$")
VARIABLE_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")


class AnySource(Part):
    """What every source declares.

    Of a table with a time column the rows of `[start, end)` are read, of a static one all. Where
    `FLIGHTDECK_SAMPLE_SHARE` is below 1, tables that hold the data set's id keep the rows whose
    id's CRC-32 falls into that share of its range: the same ones in every table and interval.
    """

    where: str = Field(
        default="",
        description=(
            "A condition in SQL (that of Polars) that a row must meet to belong to the table, such"
            " as `arrived_at IS NOT NULL`. A row for which it is unknown does not. Empty by"
            " default: every row does."
        ),
    )
    timezone: str | None = Field(
        default=None,
        description=(
            "Time zone of times that are written without one, such as `America/New_York`. None by"
            " default: such times are refused, because nothing says which moment they are."
        ),
    )

    time_from: str | None = Field(
        default=None,
        description=(
            "The source's column that the table's time column is made of. None by default: the one"
            " of its name."
        ),
    )
    delay: timedelta = Field(
        default=timedelta(0),
        ge=timedelta(0),
        description=(
            "How much later than the source's time a row became known: a label of a question asked"
            " at `time_from` may be known a day later. 0 by default."
        ),
    )

    key_from: tuple[str, ...] = Field(
        default=(),
        description=(
            "Columns of the source that identify a row only together, such as `city` and `day`:"
            " their texts, as they come and joined by `|` (one within a text gets a backslash), are"
            " the table's key, which the source itself does not have. Empty by default: the source"
            " has the key."
        ),
    )

    @model_validator(mode="after")
    def _known_timezone(self, info: ValidationInfo) -> AnySource:
        if self.timezone is not None and not is_recorded(info):
            check_timezone("timezone", self.timezone)
        return self


class FileSource(AnySource):
    """What all files have."""

    path: str = Field(
        min_length=1,
        description=(
            "A file, a folder (all its files with the kind's ending, below it too), or a pattern"
            " with `*`; absolute, or from the folder of this checkout on."
        ),
    )


class ParquetSource(FileSource):
    """Parquet files. A column that some of them lack is null in their rows."""

    kind: Literal["parquet"] = Field(default="parquet", description="The source's name.")


class CsvSource(FileSource):
    """CSV files in UTF-8 with a header; text becomes what the table declares.

    Times are written as in ISO 8601: `2024-03-01 17:30`, `2024-03-01T17:30:05.25+01:00`.
    """

    kind: Literal["csv"] = Field(default="csv", description="The source's name.")
    separator: str = Field(
        default=",",
        min_length=1,
        max_length=1,
        description="The sign between two values. A comma by default.",
    )
    null_values: tuple[str, ...] = Field(
        default=("", "NA"),
        description="Texts that stand for a missing value. An empty one and `NA` by default.",
    )


class DeltaSource(AnySource):
    """A table of Delta Lake, at its newest version."""

    kind: Literal["delta"] = Field(default="delta", description="The source's name.")
    uri: str = Field(
        min_length=1,
        description="Its folder, absolute or from the folder of this checkout on, or its URI.",
    )


class SqlSource(AnySource):
    """A table or a query of a database that SQLAlchemy reaches."""

    kind: Literal["sql"] = Field(default="sql", description="The source's name.")
    url_variable: str | None = Field(
        default=None,
        description="The environment variable that holds the database's URL, as SQLAlchemy writes"
        " it. None by default: see `url_file`.",
    )
    url_file: str | None = Field(
        default=None,
        description="The file that holds the URL, as a mounted secret does. None by default: see"
        " `url_variable`.",
    )
    table: str | None = Field(
        default=None,
        description="The table or view, `schema.table` where it lies in a schema. None by default:"
        " see `query`.",
    )
    query: str | None = Field(
        default=None,
        description=(
            "A SELECT in the database's own SQL instead of `table`. It may use `:start` and `:end`,"
            " the interval in UTC, to read less; the rows are cut exactly afterwards. None by"
            " default."
        ),
    )

    @field_validator("url_variable", "url_file")
    @classmethod
    def _no_url(cls, value: str | None) -> str | None:
        if value is not None and "://" in value:
            # The value itself may hold a password, so it is not shown.
            raise ValueError(
                "is a URL, and what is declared is recorded with every model; name the environment"
                " variable or the file that holds it"
            )
        return value

    @model_validator(mode="after")
    def _one_of_two(self) -> SqlSource:
        for first, second in (("url_variable", "url_file"), ("table", "query")):
            if (getattr(self, first) is None) == (getattr(self, second) is None):
                raise ValueError(f"exactly one of {first} and {second} must be declared")
        if self.url_variable is not None and not VARIABLE_NAME.match(self.url_variable):
            raise ValueError(
                f"url_variable is {self.url_variable!r}; a variable's name has letters, digits and"
                " '_' only"
            )
        return self


class FunctionSource(AnySource):
    """A function of the use case's data.py: it takes the interval and gives a frame of Polars,
    pandas or Arrow.

    It may give more rows than those of the interval: they are cut as those of a file.
    """

    kind: Literal["function"] = Field(default="function", description="The source's name.")
    function: str = Field(description="Its name in data.py, such as `read_weather`.")

    @model_validator(mode="after")
    def _is_a_name(self) -> FunctionSource:
        if not FUNCTION_NAME.match(self.function):
            raise ValueError(
                f"function is {self.function!r}; it must be the name of a function of data.py, such"
                " as 'read_weather'"
            )
        return self


Source = Annotated[
    ParquetSource | CsvSource | DeltaSource | SqlSource | FunctionSource,
    Field(discriminator="kind"),
]
