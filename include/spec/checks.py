"""What a use case's declarations say about each other, so that what cannot be is refused when it is
declared and not hours later.

Every function raises `ValueError` with field, value, what is valid and what to do.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING

from include.spec.base import all_different, folded, one_of
from include.spec.data_set import NAME
from include.spec.tables import Input
from include.spec.times import ticks_around
from include.spec.values import ColumnType

if TYPE_CHECKING:
    from include.spec.use_case import UseCase

KEY_TYPES: tuple[ColumnType, ...] = ("string", "integer")
GROUPING_TYPES: tuple[ColumnType, ...] = ("string", "integer", "boolean")
ALTERED = re.compile(r"[\\^|\[\]\"]|%[0-9A-Fa-f]{2}")
VALID_TYPES: dict[str, tuple[ColumnType, ...]] = {
    "number": ("integer", "number", "boolean"),
    "category": ("string",),
    "local_hour": ("timestamp",),
    "local_weekday": ("timestamp",),
    "local_month": ("timestamp",),
    "hours_between": ("timestamp",),
}
"""The types of a column that an input of each kind can read."""


def check_possible(use_case: UseCase) -> None:
    """All of them."""
    _names_of_tables(use_case)
    _names_of_columns(use_case)
    _cross_table_rules(use_case)
    _moments(use_case)
    _kinds(use_case)
    _request(use_case)
    _privacy(use_case)
    _release(use_case)
    _review(use_case)
    _drift(use_case)
    _representation(use_case)
    training = use_case.training
    training.estimator.check_names(training, [item.name for item in use_case.inputs])
    use_case.problem.check_limits(use_case)


def _names_of_tables(use_case: UseCase) -> None:
    sources = [table.name for table in use_case.tables]
    all_different("tables", sources)
    all_different("feature_tables: views", [table.view for table in use_case.feature_tables])
    names = [*sources, *(table.table for table in use_case.feature_tables)]
    all_different("tables and feature_tables", names)
    for name in names:
        _below_the_store(name)
    # Expectation suites and reports are files, and call "raw/flights" raw_flights.
    _apart("tables and feature_tables", names, [name.replace("/", "_") for name in names])
    # What is landed, put aside or delivered of "raw/flights" is called flights.
    _apart("tables", sources, [name.removeprefix("raw/") for name in sources])
    _no_table_inside_another(names)
    writers = [table.written_by for table in use_case.tables]
    for writer in [*writers, *(part.written_by for part in use_case.feature_tables)]:
        if writer is not None and (writer == use_case.name or not NAME.match(writer)):
            raise ValueError(
                f"tables and feature_tables: written_by is {writer!r}; it must be the name of"
                " another use case, or be left out of what this one writes"
            )


def _below_the_store(name: str) -> None:
    """Refuse what is no path of folders, or one that a file system or a URL would write
    otherwise.
    """
    for part in name.split("/"):
        if part in ("", ".", "..") or part != part.strip() or part.endswith("."):
            raise ValueError(
                f"tables: {name!r} is no name below the table store; write parts between slashes"
                " such as 'raw/flights'"
            )
    if not name.isprintable() or ALTERED.search(name):
        raise ValueError(
            f"tables: {name!r} holds a sign that a path or a URL would write otherwise (a"
            " backslash, '%41', one that cannot be printed); call it such as 'raw/flights'"
        )


def _no_table_inside_another(names: Iterable[str]) -> None:
    folders = {folded(name): name for name in names}
    for path, name in folders.items():
        parts = path.split("/")
        for depth in range(1, len(parts)):
            outer = folders.get("/".join(parts[:depth]))
            if outer is not None:
                raise ValueError(
                    f"tables and feature_tables: {name!r} lies inside the table {outer!r}, whose"
                    " files it would be taken for; call one of them otherwise"
                )


def _names_of_columns(use_case: UseCase) -> None:
    """Inputs, slices, and the columns that a training set has under one name each."""
    all_different("inputs", [item.name for item in use_case.inputs])
    all_different("slices", [str(part.columns) for part in use_case.slices])
    data = use_case.training_data
    references = list(dict.fromkeys([*data.features, *use_case.feature_references]))
    columns = [reference.replace(":", "__") for reference in references]
    _apart("inputs: the features", references, columns)
    others = dict.fromkeys([*data.question_columns, *data.label_columns, data.label_time])
    all_different("the training set's columns (features, keys, labels)", [*columns, *others])


def _apart(field: str, names: Iterable[str], written: Iterable[str]) -> None:
    """Refuse two names that are written alike where a sign of them cannot stand."""
    first: dict[str, str] = {}
    for name, text in zip(names, written, strict=True):
        other = first.setdefault(folded(text), name)
        if other != name:
            raise ValueError(
                f"{field}: {other!r} and {name!r} are both written {text!r}; call one of them"
                " otherwise"
            )


def _cross_table_rules(use_case: UseCase) -> None:
    """Both tables are there, and a row of one of them has one partner at most."""
    all_different("cross_table_rules", [rule.name for rule in use_case.cross_table_rules])
    tables = {table.name: table for table in use_case.tables}
    for rule in use_case.cross_table_rules:
        where = f"cross-table rule {rule.name!r}"
        for name in rule.tables:
            one_of(f"{where}: tables (of tables)", name, tables)
            for column in rule.on:
                one_of(
                    f"{where}: on (a column of {name!r})",
                    column,
                    [entry.name for entry in tables[name].columns],
                )
        if all(tables[name].written_by for name in rule.tables):
            raise ValueError(
                f"{where}: other use cases write both tables {list(rule.tables)}, so this one is"
                " delivered nothing to judge; declare the rule where they are written"
            )
        keys = [tables[name].key for name in rule.tables]
        if not any(set(key) == set(rule.on) for key in keys):
            raise ValueError(
                f"{where}: on is {list(rule.on)}, the key of neither table; valid:"
                f" {[list(key) for key in keys]}"
            )


def _moments(use_case: UseCase) -> None:
    data = use_case.data_set
    for field, table, column in (
        ("data_set.event_time", data.entity_table, data.event_time),
        ("data_set.label_time", data.label_table, data.label_time),
    ):
        kind = _type(use_case, table, column)
        if kind != "timestamp":
            raise ValueError(
                f"{field} is {column!r}, which table {table!r} declares as {kind!r}; it must be a"
                f" 'timestamp'; valid: {_of_type(use_case, table, 'timestamp')}"
            )
    golden, start = use_case.golden, use_case.schedule.start
    if golden is not None and golden.until <= start:
        raise ValueError(
            f"data_set.golden.until is {golden.until.isoformat()}, not after schedule.start"
            f" {start.isoformat()}; no row would be set aside"
        )


def _kinds(use_case: UseCase) -> None:
    """An input reads a column whose type its kind can read; of features Feast knows the type."""
    for item in use_case.inputs:
        if item.view is None:
            check_kind(item, _type(use_case, use_case.entity_table, item.source))


def check_kind(item: Input, kind: str) -> None:
    """Refuse an input whose kind cannot read values of that type."""
    valid = VALID_TYPES[item.kind]
    if kind not in valid:
        fitting = sorted(name for name, types in VALID_TYPES.items() if kind in types)
        raise ValueError(
            f"input {item.name!r}: kind is {item.kind!r}, which reads {' or '.join(valid)}, and"
            f" {item.source!r} holds {kind}; valid for it: {fitting}"
        )


def _optional_fields(use_case: UseCase) -> None:
    """What a caller may leave out was missing in training too, where a model reads it."""
    declared = {column.name: column for column in use_case.table(use_case.entity_table).columns}
    read = {item.source for item in use_case.inputs}
    for field in use_case.serving.request_fields:
        if field.optional and field.name in read and declared[field.name].max_null_share == 0:
            raise ValueError(
                f"serving.request_fields: {field.name!r} is optional and an input reads it, and"
                f" table {use_case.entity_table!r} declares it with max_null_share 0: a model would"
                " be asked with what it was never trained with; give the column a max_null_share"
                " above 0, or make the field required"
            )


def _request(use_case: UseCase) -> None:
    """What a caller sends is of the type that its column is trained with."""
    for field in use_case.serving.request_fields:
        kind = _type(use_case, use_case.entity_table, field.name)
        if field.type not in (None, kind):
            raise ValueError(
                f"serving.request_fields: {field.name!r} is {field.type!r}, and table"
                f" {use_case.entity_table!r} declares {kind!r}; a value has one type, so leave the"
                " field's out"
            )
    _optional_fields(use_case)
    for name in (*use_case.serving.entity_keys, use_case.id_column):
        kind = _type(use_case, use_case.entity_table, name)
        if kind not in KEY_TYPES:
            raise ValueError(
                f"{name!r} is an entity key or the id, and table {use_case.entity_table!r} declares"
                f" it as {kind!r}; valid: {list(KEY_TYPES)}"
            )
    for name in use_case.request_columns:
        if name == "features" or ":" in name:
            raise ValueError(
                f"{name!r} is an entity key or request field: in a request 'features' holds the"
                " values that need no look-up, and ':' parts a view from a feature; rename the"
                " column"
            )


def _privacy(use_case: UseCase) -> None:
    """Hold data about persons to what is said of it: who they are stands in no log, and no log is
    kept for ever.
    """
    if use_case.data_set.sensitivity != "personal":
        return
    named = dict.fromkeys((use_case.id_column, *use_case.serving.entity_keys))
    clear = [name for name in named if use_case.privacy(name) == "clear"]
    if clear:
        raise ValueError(
            f"the data set is declared 'personal', and the inference log would keep {clear} as they"
            f" are: mark these columns of {use_case.entity_table!r} with privacy='hash' or 'drop'"
        )
    if use_case.serving.log_days is None:
        raise ValueError(
            "the data set is declared 'personal', and serving.log_days is None: say after how many"
            " days logged answers are deleted"
        )


def _release(use_case: UseCase) -> None:
    """A row's version is chosen by values that every caller sends."""
    for name in use_case.release.unit:
        one_of("release.unit", name, use_case.request_columns)


def _review(use_case: UseCase) -> None:
    """Only a probability has a threshold that a score can lie near."""
    if use_case.review.band and use_case.problem.kind != "binary":
        raise ValueError(
            f"review.band is {use_case.review.band:g}, and a {use_case.problem.kind} problem has no"
            " threshold that a score could lie near; write 0, and review.share for a random part"
        )


def _drift(use_case: UseCase) -> None:
    """An alarm on drift whose check has too few blocks for any permutation to be sure can never be
    raised.
    """
    limits, schedule = use_case.monitoring, use_case.schedule
    if "drift" not in limits.alarm_on or limits.block is None:
        return
    start, end = ticks_around(schedule.monitoring_cron, schedule.start + timedelta(seconds=1))
    windows = limits.sliding_windows * (end - start)
    blocks = math.ceil(windows / limits.block)
    learned = math.ceil(timedelta(days=use_case.training.window_days) / limits.block)
    tests = 2 * len(use_case.inputs)
    needed = tests * sum(1.0 / place for place in range(1, tests + 1)) / limits.false_discovery
    if math.comb(blocks + learned, blocks) < needed:
        raise ValueError(
            f"monitoring.alarm_on names 'drift', which could never be judged:"
            f" {limits.sliding_windows} windows of {end - start} hold {blocks} blocks of"
            f" {limits.block}, and no permutation of so few among {learned} of training is sure"
            f" enough for {len(use_case.inputs)} inputs. Declare a shorter monitoring.block (None"
            " where rows are independent), more sliding_windows, or a longer"
            " schedule.monitoring_cron"
        )


def _representation(use_case: UseCase) -> None:
    """Groups are cut by a column of the training set that has few values, and all of them are
    named; only a binary problem has positives.
    """
    table = use_case.table(use_case.entity_table)
    declared = {column.name: column for column in table.columns}
    groupings = use_case.data_checks.representation
    all_different("data_checks.representation: columns", [part.column for part in groupings])
    for part in groupings:
        field = f"data_checks.representation of {part.column!r}"
        one_of(f"{field}: column (of the data set)", part.column, use_case.training_data.columns)
        column = declared[part.column]
        if column.type not in GROUPING_TYPES:
            raise ValueError(
                f"{field}: table {table.name!r} declares it as {column.type!r}; valid:"
                f" {list(GROUPING_TYPES)}"
            )
        if not (part.groups or column.categories):
            raise ValueError(
                f"{field}: it names no groups, and table {table.name!r} declares no categories of"
                " the column, so that a group without a row could not be noticed; declare groups"
            )
        if (part.minimum_positives or part.minimum_positive_share) and not (
            use_case.problem.kind == "binary"
        ):
            raise ValueError(
                f"{field}: minimum_positives and minimum_positive_share are of a binary problem,"
                f" and this one is {use_case.problem.kind}; leave them out"
            )


def _type(use_case: UseCase, table: str, column: str) -> ColumnType:
    return next(entry.type for entry in use_case.table(table).columns if entry.name == column)


def _of_type(use_case: UseCase, table: str, kind: ColumnType) -> list[str]:
    return [entry.name for entry in use_case.table(table).columns if entry.type == kind]
