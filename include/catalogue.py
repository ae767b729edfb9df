"""The use cases of this checkout: their names, and how one and its modules are loaded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from traceback import extract_tb
from types import FunctionType, ModuleType

from include.errors import FlightdeckError, SpecError
from include.settings import load_settings
from include.settings.environments import ENVIRONMENTS
from include.spec import FunctionSource, UseCase
from include.spec.base import suggestion
from include.spec.overlay import overlaid
from include.spec.use_case import NAME_PATTERN

FOLDER = Path(__file__).parent / "use_cases"


def names() -> list[str]:
    """The names of all use cases, sorted: the folders of `include/use_cases/` with a spec.py."""
    return sorted(path.parent.name for path in FOLDER.glob("*/spec.py"))


def load_valid() -> tuple[dict[str, UseCase], dict[str, str]]:
    """The use cases that can be loaded, and of each other one why it cannot: one that is wrong
    stops no other.
    """
    valid: dict[str, UseCase] = {}
    refused: dict[str, str] = {}
    for name in names():
        try:
            valid[name] = load_use_case(name)
        except SpecError as error:
            refused[name] = str(error)
    return valid, refused


def load_use_case(name: str) -> UseCase:
    """Import `include/use_cases/<name>/spec.py` and return its `USE_CASE`, under the environment's
    overlay where it has one.

    `SpecError` says what is missing.
    """
    if not NAME_PATTERN.match(name):
        raise SpecError(f"use case {name!r}: a name must match {NAME_PATTERN.pattern}.")
    module = find_module(name, "spec")
    if module is None:
        raise SpecError(
            f"use case {name!r}: there is no"
            f" include/use_cases/{name}/spec.py{suggestion(name, names())}."
        )
    use_case = getattr(module, "USE_CASE", None)
    if not isinstance(use_case, UseCase) or use_case.name != name:
        raise SpecError(
            f"include/use_cases/{name}/spec.py must define USE_CASE, a UseCase named {name!r}."
        )
    overlay = load_settings().spec_overlay
    return use_case if overlay is None else overlaid(use_case, overlay)


def find_module(use_case: str, module: str) -> ModuleType | None:
    """Import `include/use_cases/<use case>/<module>.py`; `None` where the use case has none.

    `SpecError` says what keeps it from being imported, such as a module that is not there.
    """
    path = f"include.use_cases.{use_case}.{module}"
    with running(FOLDER / use_case / f"{module}.py", f"include/use_cases/{use_case}/{module}.py"):
        try:
            return import_module(path)
        except ModuleNotFoundError as error:
            if error.name is not None and f"{path}.".startswith(f"{error.name}."):
                return None
            raise


@contextmanager
def running(file: Path, name: str, failed: str = "cannot be imported") -> Iterator[None]:
    """Let somebody's file run, which is code and may raise anything, an exit too: `SpecError` names
    it (by `name`) with line and what it raised.
    """
    try:
        yield
    except FlightdeckError:
        raise
    except (Exception, SystemExit) as error:
        frames = [part for part in extract_tb(error.__traceback__) if part.filename == str(file)]
        line = f"line {frames[-1].lineno}: " if frames else ""
        raise SpecError(
            f"{name} {failed}: {line}{type(error).__name__}: {error}; correct it, or"
            " install what it imports."
        ) from error


def data_functions(use_case: UseCase) -> list[str]:
    """What the use case's data.py must define: what its tables and feature tables leave to it."""
    tables = use_case.own_tables
    sources = [source for table in tables for source in table.sources.values()]
    needed = [source.function for source in sources if isinstance(source, FunctionSource)]
    if any(table.source is None and set(ENVIRONMENTS) - set(table.source_in) for table in tables):
        needed.append("read_source")
    if use_case.own_feature_tables:
        needed.append("compute_features")
    return list(dict.fromkeys(needed))


def load_data_module(use_case: UseCase) -> ModuleType:
    """Import the use case's data.py; `SpecError` says what it must define.

    A use case that leaves nothing to it needs none.
    """
    file = f"include/use_cases/{use_case.name}/data.py"
    needed = data_functions(use_case)
    module = find_module(use_case.name, "data")
    if module is None:
        if not needed:
            return ModuleType("data")
        raise SpecError(
            f"use case {use_case.name!r}: {file} must exist and define the functions {needed}."
        )
    lacking = [name for name in needed if not callable(getattr(module, name, None))]
    if lacking:
        near = [suggestion(name, _functions(module)) for name in lacking[:1]]
        raise SpecError(f"{file} must define the functions {lacking}{near[0]}.")
    return module


def _functions(module: ModuleType) -> list[str]:
    return [
        name
        for name, value in vars(module).items()
        if isinstance(value, FunctionType) and value.__module__ == module.__name__
    ]
