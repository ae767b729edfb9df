"""`flightdeck reference`: docs/specification.md and docs/settings.md, written from the code."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from include.settings import PREFIX, PROJECT_ROOT, Settings, defaults
from include.settings.environments import ENVIRONMENTS
from include.spec import Part, UseCase

SPECIFICATION, SETTINGS = Path("docs/specification.md"), Path("docs/settings.md")

TYPE_NAMES: dict[Any, str] = {
    str: "text",
    int: "integer",
    float: "number",
    bool: "true or false",
    Path: "path",
    timedelta: "duration",
    NoneType: "`None`",
    Any: "anything",
}


class Variable(NamedTuple):
    """A `FLIGHTDECK_*` variable that is no setting."""

    name: str
    sentence: str


VARIABLES = (
    Variable(
        "FLIGHTDECK_FEATURE_STORE_DIR",
        "Absolute folder of Feast's registry and SQLite store, as `feature_repo/feature_store.yaml`"
        " reads it: Flightdeck sets it from `FLIGHTDECK_HOME`; set it by hand for Feast's own"
        " command line alone.",
    ),
    Variable(
        "FLIGHTDECK_PASSWORD",
        "The password of an Airflow user for `flightdeck override --user`, which asks for it"
        " otherwise.",
    ),
    Variable(
        "FLIGHTDECK_PLATFORM_ID",
        "The mark by which `flightdeck down` knows the processes of its own platform: `flightdeck"
        " up` sets it; never set it by hand.",
    ),
    *(
        Variable(
            f"{PREFIX}{name.upper()}_FILE",
            f"File that holds what `{PREFIX}{name.upper()}` would, so that its password stands in"
            " no variable.",
        )
        for name, field in Settings.model_fields.items()
        if not field.repr
    ),
    *(
        Variable(
            f"{PREFIX}{name.upper()}_SECRET",
            f"Name under which Airflow's secrets backend has what `{PREFIX}{name.upper()}` would"
            " hold (docs/environments.md).",
        )
        for name, field in Settings.model_fields.items()
        if not field.repr
    ),
)
"""What is read beside the settings."""

SPECIFICATION_HEAD = """\
# Specification

What a use case may declare in `include/use_cases/<name>/spec.py`: every class that is reachable
from [UseCase](#usecase), with its fields. [use-cases.md](use-cases.md) says how one is added. An
unknown field, a value outside its limits and a contradiction between two fields fail when the
specification is constructed.

`make docs` writes this page from `include/spec/`; change it there.

## Contents
"""
SETTINGS_HEAD = """\
# Settings

Every `FLIGHTDECK_*` variable. None has to be set. `FLIGHTDECK_ENV` chooses the environment
({environments}), which has a default for every setting; a setting's own variable overrides it.
Where defaults differ between environments, each is named ([environments.md](environments.md)).
`<checkout>` is the folder of this repository.

`make docs` writes this page from `include/settings/` and `cli/reference.py`; change it there.
"""


def reference() -> None:
    """Write docs/specification.md and docs/settings.md anew."""
    for path, text in pages().items():
        (PROJECT_ROOT / path).write_text(text, encoding="utf-8")
        print(f"Wrote {path}.")


def pages() -> dict[Path, str]:
    """The text of both pages by their path in the repository."""
    return {SPECIFICATION: specification_page(), SETTINGS: settings_page()}


def specification_page() -> str:
    """The page of all classes of a specification, one section a class."""
    classes = reachable_parts(UseCase)
    contents = "\n".join(f"- {_link(part)}: {_first_sentence(part)}" for part in classes)
    sections = [_section(part) for part in classes]
    return "\n".join([SPECIFICATION_HEAD, contents, "", "\n".join(sections)]).rstrip() + "\n"


def settings_page() -> str:
    """The page of all variables: settings first, then what is read elsewhere."""
    head = SETTINGS_HEAD.format(environments=_alternatives(f"`{name}`" for name in ENVIRONMENTS))
    rows = [
        (f"`{variable_name(name)}`", field_type(field), _setting_default(name), field.description)
        for name, field in Settings.model_fields.items()
    ]
    others = [(f"`{variable.name}`", variable.sentence) for variable in VARIABLES]
    return "\n".join(
        [
            head,
            *_table(("Variable", "Type", "Default", "Description"), rows),
            "",
            "## Variables that are no settings",
            "",
            *_table(("Variable", "Description"), others),
            "",
        ]
    )


def variable_name(field: str) -> str:
    """The variable that a setting is read from."""
    return f"{PREFIX}ENV" if field == "environment" else f"{PREFIX}{field.upper()}"


def reachable_parts(root: type[Part]) -> list[type[Part]]:
    """The class and all that its fields are made of, in the order in which they are met."""
    classes = [root]
    for part in classes:
        for field in part.model_fields.values():
            classes += [found for found in _parts_in(field.annotation) if found not in classes]
    return classes


def field_type(field: FieldInfo) -> str:
    """A field's type with its limits, in words."""
    return _type(
        Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
    )


def field_default(field: FieldInfo) -> str:
    """What holds where the field is left out."""
    if field.default_factory is not None:
        return "`{}`" if field.default_factory is dict else "derived"
    return "required" if field.default is PydanticUndefined else _value(field.default)


def _parts_in(annotation: Any) -> list[type[Part]]:
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return [annotation]
    parts = [part for argument in get_args(annotation) for part in _parts_in(argument)]
    return list(dict.fromkeys(parts))


def _section(part: type[Part]) -> str:
    rows = [
        (f"`{name}`", field_type(field), field_default(field), field.description)
        for name, field in part.model_fields.items()
    ]
    table = _table(("Field", "Type", "Default", "Description"), rows)
    return "\n".join([f"## {part.__name__}", "", _documentation(part), "", *table, ""])


def _documentation(part: type[BaseModel]) -> str:
    paragraphs = inspect.cleandoc(part.__doc__ or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _first_sentence(part: type[BaseModel]) -> str:
    return f"{_documentation(part).split(chr(10))[0].partition('. ')[0].rstrip('.')}."


def _link(part: type[BaseModel]) -> str:
    return f"[{part.__name__}](#{part.__name__.lower()})"


def _table(heading: Sequence[str], rows: Iterable[Sequence[str | None]]) -> list[str]:
    lines = [heading, ["---"] * len(heading), *rows]
    return [
        f"| {' | '.join((cell or '').replace('|', chr(92) + '|') for cell in line)} |"
        for line in lines
    ]


def _type(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return f"{_type(arguments[0])}{_limits(arguments[1:])}"
    if origin is Literal:
        return _alternatives(f"`{value}`" for value in arguments)
    if origin in (Union, UnionType):
        return _alternatives(_type(argument) for argument in arguments)
    if origin is dict:
        return f"mapping from {_type(arguments[0])} to {_type(arguments[1])}"
    if origin is tuple and arguments[-1] is Ellipsis:
        return f"list of {_type(arguments[0])}"
    if origin is tuple:
        return f"({', '.join(map(_type, arguments))})"
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return _link(annotation)
    return TYPE_NAMES.get(annotation, f"`{annotation.__name__}`")


def _limits(metadata: Iterable[Any]) -> str:
    limits: dict[str, Any] = {}
    for item in metadata:
        for inner in item.metadata if isinstance(item, FieldInfo) else (item,):
            for name in ("ge", "gt", "le", "lt", "min_length", "pattern"):
                if getattr(inner, name, None) is not None:
                    limits[name] = getattr(inner, name)
    words = {
        "ge": "at least {}",
        "gt": "above {}",
        "le": "at most {}",
        "lt": "below {}",
        "min_length": "at least {} of them",
        "pattern": "matching `{}`",
    }
    return "".join(f", {words[name].format(_number(limit))}" for name, limit in limits.items())


def _number(value: Any) -> str:
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def _alternatives(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last


def _value(value: Any) -> str:
    if isinstance(value, Part):
        return f"`{type(value).__name__}()`"
    if isinstance(value, timedelta):
        return f"`{value}`"
    if isinstance(value, Path | str):
        return f"`{value}`".replace(str(PROJECT_ROOT), "<checkout>") if str(value) else "empty"
    return f"`{value!r}`"


def _setting_default(name: str) -> str:
    values = {
        environment: _value(getattr(defaults(environment), name)) for environment in ENVIRONMENTS
    }
    usual = values["dev"]
    if name == "environment":
        return usual
    others = [f"{value} in {where}" for where, value in values.items() if value != usual]
    return "; ".join([usual, *others])
