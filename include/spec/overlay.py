"""A specification with some of its values replaced: how a trial asks the wired DAGs for a model
that its use case would not declare.

`FLIGHTDECK_SPEC_OVERLAY` names a JSON file `{use case: {field: value, ...}}`. Objects are merged
field by field, null puts a field back to its default or removes a key, anything else replaces what
it stands for (RFC 7396); an object of another `kind` (of problem or estimator) replaces the whole.
The result passes the same checks as a specification of code. The settings refuse an overlay in
production.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from include.errors import SpecError
from include.spec.messages import readable
from include.spec.use_case import UseCase


def overlaid(use_case: UseCase, path: Path) -> UseCase:
    """The use case under the overlay in `path`; unchanged when the file does not name it.

    Raises `SpecError`.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SpecError(
            f"FLIGHTDECK_SPEC_OVERLAY names {path}, which cannot be read as JSON: {error}."
        ) from error
    if not isinstance(content, dict) or not all(
        isinstance(changes, dict) for changes in content.values()
    ):
        raise SpecError(
            f"The overlay {path} must be an object of objects: {{use case: {{field: value}}}}."
        )
    changes = content.get(use_case.name)
    if changes is None:
        return use_case
    try:
        return type(use_case).model_validate(_merged(use_case.model_dump(), changes))
    except ValidationError as error:
        raise SpecError(
            f"The overlay {path} makes no valid specification of {use_case.name}: {readable(error)}"
        ) from error


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in changes.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict):
            below = merged.get(name)
            merged[name] = _merged(_same_kind(below, value), value)
        else:
            merged[name] = value
    return merged


def _same_kind(below: Any, changes: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the changes are merged into: nothing, where they replace an object of another kind."""
    if not isinstance(below, dict) or changes.get("kind", below.get("kind")) != below.get("kind"):
        return {}
    return below
