"""What a specification declares against what only an import can tell: Feast's definitions, the
parameters that an estimator takes, and conditions in SQL.

They take seconds to import, so for DAG files a process of its own finds out, once per change of
what it reads (`require_possible`) and for all use cases that are asked about; `flightdeck
declarations`, a part of `make check`, does it at once.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import polars as pl

from include.catalogue import FOLDER, find_module, load_data_module, load_valid, running
from include.errors import FlightdeckError, SpecError
from include.features.repository import (
    Definitions,
    definition_files,
    names_of,
    reasons,
    refused_names,
)
from include.features.store import read_definitions
from include.features.transform import FeatureTransform
from include.files import write
from include.model.lean_xgboost import import_lean
from include.process_end import end_at_once
from include.processes.neighbours import WrittenPlaces, clashes
from include.quality import cross_table, rules
from include.settings import PROJECT_ROOT, Settings, load_settings
from include.spec import FeatureTable, Input, ScikitLearn, UseCase
from include.spec.base import RECORDED, suggestion
from include.spec.checks import check_kind
from include.tables.store import TableStore
from include.training.sklearn_fitting import build_estimator

TYPES = {
    "String": "string",
    "Int32": "integer",
    "Int64": "integer",
    "Float32": "number",
    "Float64": "number",
    "Bool": "boolean",
    "UnixTimestamp": "timestamp",
}
"""Feast's types as those of a column."""


ANSWERING, STARTING = "answering.lock", "starting"
"""Held by the process that answers; there while it is started."""
STARTING_SECONDS = 30.0

_remembered: dict[Path, str] = {}


@dataclass(frozen=True)
class Checkout:
    """What every use case is held against: what all of them write, and Feast's definitions."""

    written: WrittenPlaces
    definitions: Definitions

    @cached_property
    def notes(self) -> dict[str, Any]:
        """What the files of feature_repo define and why some are refused, as JSON."""
        return self.definitions.as_json()

    @cached_property
    def views(self) -> dict[str, Any]:
        """Feast's views by name."""
        from feast import FeatureView

        return self._named(FeatureView)

    @cached_property
    def services(self) -> dict[str, Any]:
        """Feast's feature services by name."""
        from feast import FeatureService

        return self._named(FeatureService)

    def _named(self, kind: Any) -> dict[str, Any]:  # Feast is untyped
        return {part.name: part for part in self.definitions.objects if isinstance(part, kind)}

    @classmethod
    def read(cls, settings: Settings) -> Checkout:
        """As it stands on the disk."""
        return cls(WrittenPlaces(load_valid()[0]), read_definitions(settings))


def problems(use_case: UseCase, settings: Settings, checkout: Checkout | None = None) -> list[str]:
    """A line for everything that cannot be: file, field, value, what is valid.

    The `checkout` is read where it is not given.
    """
    checkout = checkout or Checkout.read(settings)
    file = f"include/use_cases/{use_case.name}/spec.py"
    lines = (
        *clashes(use_case, checkout.written, settings),
        *_features(use_case, settings, checkout),
        *_estimator(use_case),
        *_conditions(use_case),
        *_sources(use_case),
    )
    return [f"{file}: {line}" for line in lines]


def require_possible(use_case: UseCase, settings: Settings) -> None:
    """Raise `SpecError` with all `problems`, as far as they are known.

    What is not known yet a process of its own finds out, and writes it into the home: a DAG file
    does not wait for it, and Airflow reads the file again within a minute.
    """
    name = f"{use_case.name}-{_digest(use_case, settings)[:32]}"
    path = settings.home / "cache" / "declarations" / f"{name}.json"
    lines = _known(path)
    if lines is None:
        _ask(use_case, path)
    elif lines:
        raise SpecError("\n".join(lines))


def remember_neighbours(settings: Settings) -> None:
    """Digest what all use cases have in common once for this process and its forks, which parse a
    file each: otherwise each parse reads the specifications of all.
    """
    _remembered[settings.home] = _common_digest(settings)


def answer(folder: Path) -> None:
    """Write the problems of every use case that is asked about in the folder, unless another
    process does. It ends when none is left, or what they have in common has changed.
    """
    with (folder / ANSWERING).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        (folder / STARTING).unlink(missing_ok=True)
        settings = load_settings()
        common, checkout = _common_digest(settings), Checkout.read(settings)
        declared = checkout.written.use_cases.values()
        if not any(isinstance(one.training.estimator, ScikitLearn) for one in declared):
            import_lean()
        failed: set[Path] = set()
        while (asked := _asked(folder) - failed) and common == _common_digest(settings):
            for path in sorted(asked):
                # What is wrong with one in an unforeseen way keeps no other from its answer.
                try:
                    with running(path, path.name):
                        text = _spec_file(path).read_text(encoding="utf-8")
                        use_case = UseCase.model_validate_json(text, context=RECORDED)
                        write(path, json.dumps(problems(use_case, settings, checkout)))
                except SpecError:
                    failed.add(path)


def _asked(folder: Path) -> set[Path]:
    """The files of the answers that are due."""
    due = (path.with_suffix(".json") for path in folder.glob("*.spec"))
    return {path for path in due if _known(path) is None}


def _known(path: Path) -> list[str] | None:
    try:
        return [str(line) for line in json.loads(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError):
        return None


def _spec_file(path: Path) -> Path:
    return path.with_suffix(".spec")


def _ask(use_case: UseCase, path: Path) -> None:
    """Start the process, unless one runs; where the home takes no file, nothing is known and
    nothing refused.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(_spec_file(path), use_case.model_dump_json())
        if _is_answered(path.parent):
            return
    except OSError:
        return
    # Through a shell that does not wait for it, so that it is nobody's unfinished child.
    command = [sys.executable, "-m", "include.processes.declarations", str(path.parent)]
    subprocess.run(
        ["/bin/sh", "-c", '"$@" &', "sh", *command],
        cwd=PROJECT_ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )


def _is_answered(folder: Path) -> bool:
    """Whether a process answers or is being started; if not, the caller starts one."""
    with (folder / ANSWERING).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    mark = folder / STARTING
    if mark.exists() and time.time() - mark.stat().st_mtime < STARTING_SECONDS:
        return True
    mark.touch()
    return False


def _digest(use_case: UseCase, settings: Settings) -> str:
    """Of all that the answer depends on."""
    own = sorted((FOLDER / use_case.name).glob("*.py"))
    digest = hashlib.sha256(use_case.model_dump_json().encode())
    _add_files(digest, own)
    digest.update((_remembered.get(settings.home) or _common_digest(settings)).encode())
    return digest.hexdigest()


def _common_digest(settings: Settings) -> str:
    """Of what the answers about all use cases depend on."""
    digest = hashlib.sha256()
    _add_files(
        digest,
        [
            *definition_files(settings),
            *sorted(FOLDER.glob("*/spec.py")),
            PROJECT_ROOT / "requirements.txt",
            Path(__file__),
        ],
    )
    return digest.hexdigest()


def _add_files(digest: Any, paths: Iterable[Path]) -> None:
    for path in paths:
        if path.is_file():
            digest.update(f"{path.parent.name}/{path.name}".encode() + b"\0" + path.read_bytes())


def _features(use_case: UseCase, settings: Settings, checkout: Checkout) -> Iterator[str]:
    names = [
        *(table.view for table in use_case.feature_tables),
        *(item.view for item in use_case.inputs if item.view),
    ]
    yield from reasons(checkout.notes, names_of(names, use_case.feature_service))
    # That they are not defined was said with the reason.
    refused = refused_names(checkout.notes, settings)
    views, services = checkout.views, checkout.services
    for table in use_case.feature_tables:
        if table.view in views:
            yield from _table_of(table, views[table.view], settings)
        elif refused.isdisjoint(names_of([table.view])):
            yield f"feature_tables: view is {table.view!r}{suggestion(table.view, views)}"
    for item in use_case.inputs:
        if item.view in views:
            yield from _input(item, views[item.view])
    if use_case.feature_service in services:
        yield from _service(use_case, services[use_case.feature_service])
    elif refused.isdisjoint(names_of([], use_case.feature_service)):
        yield (
            f"feature_service is {use_case.feature_service!r}, which feature_repo does not define"
            f"{suggestion(use_case.feature_service, services)}"
        )
    yield from _keys(use_case, views)


def _table_of(table: FeatureTable, view: Any, settings: Settings) -> Iterator[str]:
    """Feast reads a view where its rows are written."""
    path = str(view.batch_source.path)
    if path != TableStore(settings.tables_uri).uri(table.table):
        name = path.removeprefix(f"{settings.tables_uri.rstrip('/')}/")
        yield (
            f"feature_tables: the rows of the view {table.view!r} are written to {table.table!r},"
            f" and feature_repo reads them from {name!r}; correct one of the two"
        )


def _input(item: Input, view: Any) -> Iterator[str]:
    name = item.source.partition(":")[2]
    types = {field.name: field.dtype for field in view.features}
    if name not in types:
        yield (
            f"input {item.name!r}: source is {item.source!r}, and the view {item.view!r} has no"
            f" feature {name!r}{suggestion(name, types)}"
        )
        return
    try:
        check_kind(item, TYPES.get(str(types[name]), str(types[name])))
    except ValueError as error:
        yield str(error)


def _service(use_case: UseCase, service: Any) -> Iterator[str]:
    offered = {
        f"{part.name_to_use()}:{feature.name}"
        for part in service.feature_view_projections
        for feature in part.features
    }
    required = set(use_case.feature_references)
    if offered != required:
        yield (
            f"inputs and the feature service {service.name!r} of feature_repo disagree: only the"
            f" inputs name {sorted(required - offered)}, only the service"
            f" {sorted(offered - required)}"
        )


def _keys(use_case: UseCase, views: Mapping[str, Any]) -> Iterator[str]:
    """Features are looked up by keys that a caller sends."""
    sent = use_case.request_columns
    read = dict.fromkeys(item.view or "" for item in use_case.inputs)
    for name in (view for view in read if view in views):
        for column in views[name].entity_columns:
            if column.name not in sent:
                yield (
                    f"serving.entity_keys lack {column.name!r}, by which the view {name!r} is"
                    f" looked up{suggestion(column.name, sent)}"
                )


def _estimator(use_case: UseCase) -> Iterator[str]:
    """The declared parameters, and each bound of the search, given to the estimator."""
    training = use_case.training
    tried: list[Mapping[str, Any]] = [training.parameters]
    for end in (0, 1):
        bounds = {name: _whole(pair)[end] for name, pair in training.search_space.items()}
        tried.append({**training.parameters, **bounds})
    for parameters in tried:
        try:
            _try_parameters(use_case, parameters)
        except FlightdeckError as error:
            yield f"training: {error}"
            return
        except (ValueError, TypeError) as error:
            yield f"training.parameters or search_space: {str(error).splitlines()[-1].strip()}"
            return


def _conditions(use_case: UseCase) -> Iterator[str]:
    """Every condition in SQL is one, over columns that are declared."""
    checks: list[Callable[[], object]] = [
        *(partial(rules.condition, rule) for table in use_case.tables for rule in table.row_rules),
        *(partial(cross_table.condition, use_case, rule) for rule in use_case.cross_table_rules),
    ]
    for check in checks:
        try:
            check()
        except SpecError as error:
            yield str(error)


def _sources(use_case: UseCase) -> Iterator[str]:
    """What sources say of rows is a condition, and the functions that they name are there."""
    declared = ((table, *each) for table in use_case.tables for each in table.sources.items())
    for table, field, source in declared:
        if source.where:
            try:
                pl.sql_expr(source.where)
            except pl.exceptions.PolarsError as error:
                yield (
                    f"table {table.name!r}: {field}.where is {source.where!r}, which is no"
                    f" condition in SQL: {error}"
                )
    if find_module(use_case.name, "spec") is not None:  # an overlay's trial may have no files
        try:
            load_data_module(use_case)
        except SpecError as error:
            yield str(error)


def _whole(pair: tuple[float, float]) -> tuple[float, float]:
    """Bounds as the search draws between them: both whole means whole numbers."""
    low, high = pair
    return (int(low), int(high)) if low == int(low) and high == int(high) else pair


def _try_parameters(use_case: UseCase, parameters: Mapping[str, Any]) -> None:
    if isinstance(use_case.training.estimator, ScikitLearn):
        categories = {item.name: () for item in use_case.inputs if item.kind == "category"}
        transform = FeatureTransform(
            inputs=use_case.inputs, event_time=use_case.event_time, categories=categories
        )
        build_estimator(use_case, transform, parameters)
        return
    import numpy as np
    import xgboost

    matrix = xgboost.DMatrix(np.arange(8, dtype=np.float32).reshape(4, 2), label=[0, 1, 0, 1])
    with xgboost.config_context(verbosity=0):
        xgboost.train({**parameters, "nthread": 1}, matrix, num_boost_round=1)


if __name__ == "__main__":
    end_at_once()
    answer(Path(sys.argv[1]))
