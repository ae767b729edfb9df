"""What kinds of files a training leaves, and how each is checked before it is kept: Flightdeck's
own, and those that a use case adds.

A use case adds its own in `include/use_cases/<name>/artefacts.py`: `ARTEFACTS`, a tuple of
`Custom`. They lie below `custom/` in the run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any

import polars as pl
from pydantic import TypeAdapter, ValidationError

from include.catalogue import find_module
from include.errors import DataError, SpecError
from include.model.package import ScoringModel
from include.spec import UseCase

if TYPE_CHECKING:
    from mlflow import MlflowClient

CUSTOM_FOLDER = "custom"
UNTYPED = "untyped"


@dataclass(frozen=True)
class ArtefactType:
    """A kind of file.

    `pattern` is its path in the run (`*` stands for anything), `model` the type of a JSON file's
    content.
    """

    name: str
    pattern: str
    media_type: str
    description: str
    model: Any = None


@dataclass(frozen=True)
class Custom:
    """A use case's own kind.

    `make` returns what fits `type.model` (or text), or `None` where the artefact does not apply.
    """

    type: ArtefactType
    make: Callable[[UseCase, ScoringModel, Mapping[str, pl.DataFrame]], Any]


JSON, PNG, HTML = "application/json", "image/png", "text/html"
OURS = (
    ArtefactType(
        "training record",
        "record.json",
        JSON,
        "everything that the final fit needs to be done again",
    ),
    ArtefactType("causes", "causes.json", JSON, "why the training started"),
    ArtefactType("architecture", "model_architecture.json", JSON, "what the model is made of"),
    ArtefactType(
        "data summary",
        "data_summary.json",
        JSON,
        "statistics of every column of the training data, per split",
    ),
    ArtefactType(
        "training query",
        "training_set.sql",
        "application/sql",
        "the query that gives the training set",
    ),
    ArtefactType(
        "evaluation", "evaluation.json", JSON, "every metric, slice, interval and attribution"
    ),
    ArtefactType(
        "inspection",
        "inspection.json",
        JSON,
        "the package in a process of its own: safety, size, latency",
    ),
    ArtefactType("table", "trials.json", JSON, "every trial of the search"),
    ArtefactType("table", "gates.json", JSON, "every gate's rows"),
    ArtefactType("table", "slices.json", JSON, "metrics of every slice"),
    ArtefactType("table", "attributions.json", JSON, "how much every input matters"),
    ArtefactType("table", "attribution_rows.json", JSON, "what made a few rows' answers"),
    ArtefactType("table", "intervals.json", JSON, "95 % intervals"),
    ArtefactType(
        "table", "snapshot_failures.json", JSON, "the rules that a refused training set breaks"
    ),
    ArtefactType("lineage", "lineage.json", JSON, "where the model comes from"),
    ArtefactType("plot", "plots/*.png", PNG, "a figure"),
    ArtefactType("validation report", "validation/*.json", JSON, "the verdict on the training set"),
    ArtefactType("data docs", "validation/data_docs/*", HTML, "Great Expectations' pages"),
)


def custom_artefacts(use_case: UseCase) -> tuple[Custom, ...]:
    """What the use case adds; nothing where it has no artefacts.py.

    Raises `SpecError` for a name or file that is taken.
    """
    module = find_module(use_case.name, "artefacts")
    if module is None:
        return ()
    added: tuple[Custom, ...] = module.ARTEFACTS
    patterns = [artefact.type.pattern for artefact in added]
    names = {artefact.name for artefact in OURS}
    for artefact in added:
        if (
            artefact.type.name in names
            or patterns.count(artefact.type.pattern) > 1
            or "*" in artefact.type.pattern
            or "/" in artefact.type.pattern
        ):
            raise SpecError(
                f"{module.__name__}: {artefact.type.name!r} in {artefact.type.pattern!r}: name it"
                f" other than {sorted(names)}, with a file of its own."
            )
    return added


def log_custom(
    client: MlflowClient,
    mlflow_run_id: str,
    use_case: UseCase,
    model: ScoringModel,
    splits: Mapping[str, pl.DataFrame],
    *,
    artefacts: Sequence[Custom] | None = None,
) -> list[str]:
    """Make, check and write the use case's own artefacts (or those given); their paths.

    Raises `DataError` for content that does not fit its type: the training stops rather than keep
    what is not what it says.
    """
    written = []
    for artefact in custom_artefacts(use_case) if artefacts is None else artefacts:
        content = artefact.make(use_case, model, splits)
        if content is not None:
            written.append(f"{CUSTOM_FOLDER}/{artefact.type.pattern}")
            client.log_text(mlflow_run_id, checked(artefact.type, content), written[-1])
    return written


def checked(kind: ArtefactType, content: Any) -> str:
    """The file's text, if the content fits its type.

    Raises `DataError` naming the first place where it does not.
    """
    if kind.model is None:
        if not isinstance(content, str):
            raise DataError(
                f"The artefact {kind.name!r} ({kind.pattern}) must be text, not"
                f" {type(content).__name__}."
            )
        return content
    adapter = TypeAdapter(kind.model)
    try:
        return json.dumps(
            json.loads(adapter.dump_json(adapter.validate_python(content))),
            indent=1,
            allow_nan=False,
        )
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise DataError(
            f"The artefact {kind.name!r} ({kind.pattern}) does not fit its type at {place}:"
            f" {first['msg']}."
        ) from error


def type_of(path: str, use_case: UseCase) -> str:
    """The name of the kind of a file of a run; `untyped` for one that nobody declared."""
    for artefact in OURS:
        if fnmatch(path, artefact.pattern):
            return artefact.name
    return next(
        (
            artefact.type.name
            for artefact in custom_artefacts(use_case)
            if path == f"{CUSTOM_FOLDER}/{artefact.type.pattern}"
        ),
        UNTYPED,
    )
