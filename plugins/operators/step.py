"""One step of a process as a task."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowTaskTimeout

from include.errors import LateStep, LedgerBroken, SpecError
from include.settings.pods import PodTemplate, pods_of
from include.step_documents import step_document
from include.steps import Step, StepContext, StepResult, bind, call_step, load_step, short_name
from include.verdict import Finding, Outcome
from plugins.links import links_of
from plugins.pod_request import PodCall
from plugins.refusal import log_lines, refused_request
from plugins.run_context import step_context

ENDED = "This try was ended from outside, as by `make down`; the next one goes on where it was."
POD_MODULE = "plugins.operators.pod"
"""What runs a step in a pod; its imports take seconds, which other tasks do not pay."""
OUTCOMES: tuple[Outcome, ...] = ("passed", "refused", "not judged")


class StepOperator(BaseOperator):
    """Runs one step function of `include` and returns its result as JSON: in this process, or in a
    pod of its own where the environment's settings say so (docs/pods.md).

    The step's parameters say what it needs: each is the result of the one task upstream whose step
    leaves that type. Only these results are read.

    :param step: `"include.processes.training:train_model"`.
    :param use_case: name of the use case.
    :param process: name of the process (the second half of the DAG id).
    :param uses_interval: whether a run without a data interval is an error; False where no window
        of data is read.
    """

    ui_color = "#e8f0fe"
    supplied: tuple[str, ...] = ()
    """Parameters of the step that come from elsewhere than a task upstream."""

    def __init__(
        self, *, step: str, use_case: str, process: str, uses_interval: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.step = step
        self.use_case = use_case
        self.process = process
        self.uses_interval = uses_interval
        self.in_step = False
        self.pod: Any = None
        self.addresses: dict[str, str] = {}

    def execute(self, context: Context) -> Any:
        """Run the step."""
        result = self.run_step(context).as_json()
        self.tell(result)
        return result

    def on_kill(self) -> None:
        """Airflow calls it on SIGTERM: when the platform stops, or when somebody ends the task.

        Airflow alone lets a task go on after that. This one leaves its step as soon as native code
        returns, so that its worker can still report it and it is tried again. Raises `SystemExit`,
        which no library takes for a failure of its own; nothing before and after the step, whose
        result stands, nor after a time-out, which is on its way already.
        """
        if self.pod is not None:
            self.pod.on_kill()
        if self.in_step and not isinstance(sys.exc_info()[1], AirflowTaskTimeout):
            raise SystemExit(ENDED)

    def run_step(self, context: Context) -> StepResult:
        """Load the step, read what it needs and call it.

        What only a person can mend, and what comes too late, is refused at once.
        """
        try:
            airflow_free = self.context_of(context)
            inputs = self.inputs(context)
            result = self.call_interruptibly(context, load_step(self.step), airflow_free, inputs)
        except (SpecError, LateStep, LedgerBroken) as error:
            raise refused_request(self, context, error) from None
        if self.operator_extra_links:
            read = [value for value in inputs.values() if isinstance(value, dict)]
            self.addresses = links_of(airflow_free.settings, self.use_case, result.as_json(), *read)
        return result

    @property
    def steps(self) -> tuple[str, ...]:
        """Every step that the task may call."""
        return (self.step,)

    def call_interruptibly(
        self, airflow: Context, step: Step, context: StepContext, inputs: Mapping[str, Any]
    ) -> StepResult:
        """Call the step where the settings say; meanwhile SIGTERM ends it."""
        self.in_step = True
        try:
            pods = pods_of(context.settings)
            name = short_name(step)
            template = None if pods is None else pods.template(self.use_case, name)
            if template is None or template.target == "process":
                return call_step(step, context, inputs)
            return self._call_in_pod(airflow, step, context, inputs, template)
        finally:
            self.in_step = False

    def _call_in_pod(
        self,
        airflow: Context,
        step: Step,
        context: StepContext,
        inputs: Mapping[str, Any],
        template: PodTemplate,
    ) -> StepResult:
        document = step_document(context, inputs)
        call = PodCall(self.use_case, self.process, short_name(step), document)
        seconds = self.execution_timeout.total_seconds() if self.execution_timeout else None
        module = import_module(POD_MODULE)
        self.pod = module.pod_operator(call, template, context, seconds)
        try:
            result: StepResult = module.result_in_pod(self.pod, airflow, step)
        finally:
            self.pod = None
        return result

    def context_of(self, context: Context) -> StepContext:
        """What the step may rely on."""
        return step_context(context, self.use_case, self.process, uses_interval=self.uses_interval)

    def tell(self, result: Mapping[str, Any]) -> None:
        """Write the result to the log, a few lines a field; whole it is the task's XCom.

        Findings are counted by rule, and where more about it can be read comes last.
        """
        for name, value in result.items():
            if value in (None, "", [], {}):
                continue
            for line in _field_lines(name, value):
                self.log.info("%s", line)
        for name, address in self.addresses.items():
            self.log.info("%s: %s", name, address)

    def inputs(self, context: Context) -> dict[str, Any]:
        """The results that the step needs, by parameter; of a skipped task None."""
        bound = bind(
            load_step(self.step),
            {task_id: load_step(step) for task_id, step in self.upstream_steps()},
            supplied=self.supplied,
        )
        return {name: self.pull(context, task_id) for name, task_id in bound.items()}

    def upstream_steps(self) -> Iterator[tuple[str, str]]:
        """Id and step of every task upstream that runs one, mapped tasks included."""
        for task in self.get_flat_relatives(upstream=True):
            step = getattr(task, "partial_kwargs", {}).get("step") or getattr(task, "step", None)
            if step is not None:
                yield task.task_id, step

    def pull(self, context: Context, task_id: str) -> Any:
        """The result of a task upstream, as JSON."""
        return context["ti"].xcom_pull(task_ids=task_id)


def _field_lines(name: str, value: Any) -> list[str]:
    if isinstance(value, list) and all(_is_finding(item) for item in value):
        return _count_by_rule(name, [Finding.model_validate(item) for item in value])
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return log_lines(f"{name}: {text}")


def _is_finding(item: Any) -> bool:
    return isinstance(item, dict) and {"rule", "passed", "judged"} <= item.keys()


def _count_by_rule(name: str, findings: list[Finding]) -> list[str]:
    """A table: rule, how many findings passed, refused and were not judged."""
    outcomes = Counter((finding.rule, finding.outcome) for finding in findings)
    rules = list(dict.fromkeys(finding.rule for finding in findings))
    width = max(len(rule) for rule in (*rules, "rule"))
    head = f"  {'rule':<{width}}" + "".join(f"  {outcome:>10}" for outcome in OUTCOMES)
    rows = (
        f"  {rule:<{width}}"
        + "".join(f"  {outcomes[rule, outcome] or '-':>10}" for outcome in OUTCOMES)
        for rule in rules
    )
    return [f"{name}: {len(findings)}", head, *(row.rstrip() for row in rows)]
