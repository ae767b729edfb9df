"""What a case of the refusal table is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from cli.refusals.verdict import Outcome
from cli.refusals.world import World

Expected = Literal["refused", "passed"]


@dataclass(frozen=True)
class Case:
    """A fault, and the rules of which at least one must be among those that refuse it.

    Refused by another rule alone is a case that its own gate let through. A case that is expected to pass names no rule.
    """

    name: str
    gates: tuple[str, ...]
    act: Callable[[World], Outcome]
    expected: Expected = "refused"

    def holds(self, outcome: Outcome) -> bool:
        """Whether the outcome is what the case is there to show."""
        return outcome.seen == self.expected and (not self.gates or self.gate(outcome) is not None)

    def gate(self, outcome: Outcome) -> str | None:
        """The rule of this case that refused it, or `None`."""
        return next((gate for gate in self.gates if gate in outcome.gates), None)

    def reason(self, outcome: Outcome) -> str:
        """The sentence of the rule that refused it, or everything that was said instead."""
        gate = self.gate(outcome)
        return outcome.reasons[outcome.gates.index(gate)] if gate else "; ".join(outcome.reasons)
