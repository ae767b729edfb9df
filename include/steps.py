"""A step: one unit of retry of a process, JSON in and JSON out, the same in an Airflow worker, a
notebook or a test.

A step is a function `step(context: StepContext, inputs: dict) -> dict`, addressed as
`"include.processes.training:train_model"`. Between steps travel URIs, table versions, run ids and small
JSON, never frames.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib import import_module
from typing import Any

from include.catalogue import load_use_case
from include.errors import SpecError
from include.interval import Interval
from include.settings import Settings, load_settings
from include.spec import UseCase

Step = Callable[["StepContext", dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class RunInfo:
    """Which run a step belongs to, and what started it.

    `trigger` is `scheduled`, `backfill`, `manual`, `asset` or `local`; `causes` holds the
    triggering asset events' extras.
    """

    process: str
    run_id: str
    trigger: str = "local"
    triggered_by: str = ""
    try_number: int = 1
    causes: tuple[dict[str, Any], ...] = ()
    params: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """All fields as plain JSON."""
        return {**asdict(self), "causes": list(self.causes)}


@dataclass(frozen=True)
class StepContext:
    """What every step may rely on."""

    use_case: UseCase
    settings: Settings
    interval: Interval
    run: RunInfo


def load_step(reference: str) -> Step:
    """The function behind `"package.module:function"`;

    `SpecError` names what could not be found.
    """
    module_name, _, function_name = reference.partition(":")
    try:
        step = getattr(import_module(module_name), function_name, None)
    except ModuleNotFoundError as error:
        raise SpecError(f"step {reference!r}: {error}.") from error
    if not callable(step):
        raise SpecError(f"step {reference!r}: {module_name} has no function {function_name!r}.")
    return step  # type: ignore[no-any-return]


def local_context(
    use_case: str, interval: Interval, *, process: str = "local", run_id: str = "local"
) -> StepContext:
    """A context outside Airflow, with this process's settings: for notebooks and tests."""
    return StepContext(
        load_use_case(use_case), load_settings(), interval, RunInfo(process=process, run_id=run_id)
    )
