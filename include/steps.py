"""A step is one unit of retry of a process: typed results in, one typed result out.

A step is a function `train_model(context: StepContext, opened: OpenRun, tuned: TunedModel) ->
TrainedModel`, addressed as `"include.processes.training:train_model"`. What it needs of earlier
steps are its parameters, bound by their types: each is the result of exactly one step upstream. A
result is JSON in and out, so the same step runs in an Airflow worker, in a pod
(`python -m include.processes.run`), in a notebook or in a test. Between steps travel URIs, table
versions, run ids and small JSON, never frames.
"""

from __future__ import annotations

import difflib
import inspect
import re
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib import import_module
from typing import Any, Self, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError

from include.catalogue import load_use_case
from include.errors import SpecError
from include.interval import Interval
from include.settings import PROJECT_ROOT, Settings, load_settings
from include.spec import UseCase

Step = Callable[..., "StepResult"]
CONTEXT = "context"
PROCESSES = "include.processes"
STEP_HEAD = re.compile(r"^def ([a-z]\w*)\(\s*(?:#.*\s*)?context: StepContext\b", re.MULTILINE)


class StepResult(BaseModel):
    """What one step leaves for others: frozen, without unknown fields, plain JSON both ways."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def as_json(self) -> dict[str, Any]:
        """All fields as plain JSON."""
        return self.model_dump(mode="json")

    @classmethod
    def from_json(cls, content: Any, where: str) -> Self:
        """Back from JSON. Raises `SpecError` that names the field, for what is no such result."""
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"]) or "the whole"
            raise SpecError(
                f"{where} is no {cls.__name__}: {place}: {first['msg']}; its fields are"
                f" {sorted(cls.model_fields)}."
            ) from error


class Decision(StepResult):
    """A result that decides whether the run goes on. Anything but `accepted: true` is a refusal."""

    accepted: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Parameter:
    """A step's need for the result of an earlier one.

    `many`: the results of a mapped task, as a tuple. `optional`: None where that task was skipped.
    """

    name: str
    type: type[StepResult]
    many: bool = False
    optional: bool = False

    def parse(self, content: Any) -> Any:
        """The argument from JSON: a result, a tuple of them, or None where that is allowed.

        Airflow hands over one mapped result as it is, several as a list.
        """
        if content is None and self.many:
            return ()
        if content is None and self.optional:
            return None
        if not self.many:
            return self.type.from_json(content, f"the input {self.name!r}")
        parts = [content] if isinstance(content, Mapping) else content
        return tuple(self.type.from_json(part, f"the input {self.name!r}") for part in parts)


@dataclass(frozen=True)
class Signature:
    """What a step needs of earlier steps, and what it leaves."""

    parameters: tuple[Parameter, ...]
    result: type[StepResult]


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

    def names(self, step: str) -> str:
        """Which attempt at a step this is, for people."""
        return f"{step} of run {self.run_id} (try {self.try_number})"


@dataclass(frozen=True)
class StepContext:
    """What every step may rely on."""

    use_case: UseCase
    settings: Settings
    interval: Interval
    run: RunInfo


def load_step(reference: str) -> Step:
    """The function behind `"package.module:function"`; `SpecError` names what could not be found
    and the nearest that is there.
    """
    module_name, _, function_name = reference.partition(":")
    try:
        module = import_module(module_name)
    except (ModuleNotFoundError, ValueError) as error:
        raise SpecError(
            f"step {reference!r}: {error}. A step is named as"
            " include.processes.<process>:<function>."
        ) from error
    step = getattr(module, function_name, None)
    if callable(step):
        return step  # type: ignore[no-any-return]
    there = [name for name, value in vars(module).items() if _is_step(value, module_name)]
    near = difflib.get_close_matches(function_name, there, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise SpecError(
        f"step {reference!r}: {module_name} has no function {function_name!r}.{hint} Its steps are"
        f" {sorted(there)}."
    )


def short_name(step: Step) -> str:
    """`training:train_model` of a step of a process; module and function of any other."""
    return f"{step.__module__.removeprefix(f'{PROCESSES}.')}:{step.__name__}"


@cache
def step_names() -> frozenset[str]:
    """The short names of all steps of all processes, read from their text: importing them takes
    seconds.
    """
    folder = PROJECT_ROOT / "include" / "processes"
    return frozenset(
        f"{'.'.join(path.relative_to(folder).with_suffix('').parts)}:{name}"
        for path in folder.rglob("*.py")
        for name in STEP_HEAD.findall(path.read_text(encoding="utf-8"))
    )


def signature(step: Step) -> Signature:
    """What a step needs and leaves, from its annotations.

    Keyword-only parameters with a default are for callers in Python and are left out. Raises
    `SpecError` for a function that is no step.
    """
    name = getattr(step, "__name__", repr(step))
    hints = get_type_hints(step)
    result = hints.get("return")
    if not (isinstance(result, type) and issubclass(result, StepResult)):
        raise SpecError(f"step {name!r} must return a StepResult, and is annotated with {result}.")
    first, *rest = inspect.signature(step).parameters.values()
    if hints.get(first.name) is not StepContext:
        raise SpecError(f"step {name!r}: the first parameter must be `context: StepContext`.")
    needed = [item for item in rest if item.kind is not inspect.Parameter.KEYWORD_ONLY]
    return Signature(
        tuple(_parameter(name, item.name, hints.get(item.name)) for item in needed), result
    )


def bind(
    step: Step, upstream: Mapping[str, Step], *, supplied: Sequence[str] = ()
) -> dict[str, str]:
    """Parameter -> the id of the one task upstream whose step leaves what it needs.

    `upstream` maps task ids to their steps; parameters in `supplied` come from elsewhere (a mapped
    task's own part). Raises `SpecError` where no task, or more than one, leaves it.
    """
    leaves = {task_id: signature(other).result for task_id, other in upstream.items()}
    bound: dict[str, str] = {}
    for need in signature(step).parameters:
        if need.name in supplied:
            continue
        tasks = [task_id for task_id, result in leaves.items() if result is need.type]
        if len(tasks) == 1:
            bound[need.name] = tasks[0]
        elif tasks or not need.optional:
            which = f"the tasks {sorted(tasks)} all leave one" if tasks else "no task upstream does"
            raise SpecError(
                f"step {step.__name__!r} needs {need.name}: {need.type.__name__} from exactly one"
                f" task, and {which}; upstream are"
                f" { {task_id: result.__name__ for task_id, result in sorted(leaves.items())} }."
            )
    return bound


def call_step(step: Step, context: StepContext, inputs: Mapping[str, Any]) -> StepResult:
    """Call a step with arguments from JSON, by parameter name.

    Raises `SpecError` for a missing, an unknown or an unsound input.
    """
    needs = {need.name: need for need in signature(step).parameters}
    for name in inputs:
        if name not in needs:
            near = difflib.get_close_matches(name, needs, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise SpecError(
                f"step {step.__name__!r} has no input {name!r}.{hint} It needs {sorted(needs)}."
            )
    lacking = [
        name
        for name, need in needs.items()
        if name not in inputs and not (need.optional or need.many)
    ]
    if lacking:
        raise SpecError(
            f"step {step.__name__!r} lacks {lacking}; it needs"
            f" { {name: need.type.__name__ for name, need in needs.items()} }."
        )
    return step(context, **{name: need.parse(inputs.get(name)) for name, need in needs.items()})


def call_after(
    step: Step, context: StepContext, earlier: Mapping[str, Any], **supplied: Any
) -> StepResult:
    """Call a step with the JSON results of earlier ones, by their references.

    `supplied` are arguments that no step leaves. Raises `SpecError` as `bind` and `call_step`.
    """
    bound = bind(step, {name: load_step(name) for name in earlier}, supplied=list(supplied))
    inputs = {parameter: earlier[name] for parameter, name in bound.items()}
    return call_step(step, context, {**inputs, **supplied})


def _is_step(value: Any, module_name: str) -> bool:
    return (
        inspect.isfunction(value)
        and value.__module__ == module_name
        and not value.__name__.startswith("_")
    )


def _is_result(candidate: Any) -> bool:
    return isinstance(candidate, type) and issubclass(candidate, StepResult)


def _parameter(step: str, name: str, hint: Any) -> Parameter:
    many = optional = False
    if get_origin(hint) in (Union, types.UnionType) and type(None) in get_args(hint):
        optional = True
        hint = next(part for part in get_args(hint) if part is not type(None))
    if get_origin(hint) is tuple and get_args(hint)[1:] == (Ellipsis,):
        many, hint = True, get_args(hint)[0]
    if not _is_result(hint):
        raise SpecError(
            f"step {step!r}: the parameter {name!r} must be a StepResult, a tuple[StepResult, ...]"
            f" or one that may be None, and is annotated with {hint}."
        )
    return Parameter(name, hint, many=many, optional=optional)


def local_context(
    use_case: str, interval: Interval, *, process: str = "local", run_id: str = "local"
) -> StepContext:
    """A context outside Airflow, with this process's settings: for notebooks and tests."""
    return StepContext(
        load_use_case(use_case), load_settings(), interval, RunInfo(process=process, run_id=run_id)
    )
