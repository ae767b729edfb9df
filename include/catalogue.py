"""The use cases: their names, and how one is loaded."""

from __future__ import annotations

from importlib import import_module

from include.errors import SpecError
from include.settings import load_settings
from include.spec import UseCase
from include.spec.overlay import overlaid
from include.spec.use_case import NAME_PATTERN


def load_use_case(name: str) -> UseCase:
    """Import `include/use_cases/<name>/spec.py` and return its `USE_CASE`, under the environment's
    overlay where it has one.

    `SpecError` says what is missing.
    """
    if not NAME_PATTERN.match(name):
        raise SpecError(f"use case {name!r}: a name must match {NAME_PATTERN.pattern}.")
    try:
        module = import_module(f"include.use_cases.{name}.spec")
    except ModuleNotFoundError as error:
        raise SpecError(
            f"use case {name!r}: there is no include/use_cases/{name}/spec.py."
        ) from error
    use_case = getattr(module, "USE_CASE", None)
    if not isinstance(use_case, UseCase) or use_case.name != name:
        raise SpecError(
            f"include/use_cases/{name}/spec.py must define USE_CASE, a UseCase named {name!r}."
        )
    overlay = load_settings().spec_overlay
    return use_case if overlay is None else overlaid(use_case, overlay)
