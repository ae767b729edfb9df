"""What a case of the refusal table is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from proofs.refusals.verdict import Outcome
from proofs.refusals.world import World

Expected = Literal["refused", "passed"]


@dataclass(frozen=True)
class Case:
    """A fault, and the rules of which at least one must be among those that refuse it.

    Refused by another rule alone is a case that its own gate let through; `told` is text that the
    rule's sentence must hold. A case that is expected to pass names no rule. `champion` is false
    where the world needs none: one without is quicker to build.
    """

    name: str
    gates: tuple[str, ...]
    act: Callable[[World], Outcome]
    expected: Expected = "refused"
    told: str = ""
    champion: bool = True

    def holds(self, outcome: Outcome) -> bool:
        """Whether the outcome is what the case is there to show."""
        return outcome.seen == self.expected and (not self.gates or self.gate(outcome) is not None)

    def gate(self, outcome: Outcome) -> str | None:
        """The rule of this case that refused it, or `None`."""
        return next((gate for gate, _ in self._own(outcome)), None)

    def reason(self, outcome: Outcome) -> str:
        """The sentence of the rule that refused it, or everything that was said instead."""
        return next((reason for _, reason in self._own(outcome)), "; ".join(outcome.reasons))

    def _own(self, outcome: Outcome) -> list[tuple[str, str]]:
        """What the case's own rules said, in the order of its rules."""
        pairs = list(zip(outcome.gates, outcome.reasons, strict=True)) if outcome.gates else []
        return [
            (gate, reason)
            for gate in self.gates
            for found, reason in pairs
            if found == gate and self.told in reason
        ]
