"""From a finished run to what the table says about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from proofs.harness.dag_runs import DagRunResult

Seen = Literal["refused", "passed", "broken"]


@dataclass(frozen=True)
class Outcome:
    """How a run ended. `gates` are the rules that refused, as `<task>: <rule>`; `reasons` one
    sentence each.

    `broken` is neither: a task that failed without a verdict, or a refusal after which something
    was published all the same.
    """

    seen: Seen
    gates: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


def outcome_of(run: DagRunResult, *, leaked: Sequence[str] = ()) -> Outcome:
    """Read the run's state and the verdicts of its failed tasks;

    `leaked` names what a refusal must not have changed.
    """
    if run.state == "success":
        return Outcome("passed")
    failed = [task for task, state in run.tasks.items() if state == "failed"]
    verdicts = {task: run.results[task] for task in failed if _refuses(run.results.get(task))}
    if not verdicts:
        return Outcome("broken", reasons=(f"failed without a verdict: {failed or run.tasks}",))
    if leaked:
        return Outcome(
            "broken",
            reasons=(f"{sorted(verdicts)} refused, and yet these changed: {', '.join(leaked)}",),
        )
    refusing = [
        (f"{task}: {rule}", reason)
        for task, verdict in verdicts.items()
        for rule, reason in _refusals(verdict)
    ]
    return Outcome(
        "refused", tuple(rule for rule, _ in refusing), tuple(reason for _, reason in refusing)
    )


def _refuses(result: Any) -> bool:
    return isinstance(result, dict) and result.get("accepted") is False


def _refusals(verdict: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Rule and sentence of every refusal: a broken rule of data, a gate's row, or a failed check of
    a package.
    """
    if verdict.get("failures"):
        return list(
            zip(
                (str(failure["rule"]) for failure in verdict["failures"]),
                verdict["reasons"],
                strict=True,
            )
        )
    if verdict.get("findings"):
        gates = [str(item["rule"]) for item in verdict["findings"] if not item["passed"]]
        return list(zip(gates, verdict["reasons"], strict=True))
    if verdict.get("checks"):
        checks = [name for name, check in verdict["checks"].items() if not check["passed"]]
        return list(zip(checks, verdict["reasons"], strict=True))
    return [("verdict", str(reason)) for reason in verdict["reasons"]]
