"""What a search asks for, typed: every part must hold.

What cannot be understood is told with an example of what can.
"""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

from include.errors import RegistryError
from include.experiments.runs import Training

CONDITION = re.compile(r"^\s*([\w.:/ -]+?)\s*(>=|<=|!=|==|=|>|<)\s*(.+?)\s*$")
COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "!=": operator.ne,
    "==": operator.eq,
    "=": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}
DECISIONS = ("accepted", "refused", "failed", "undecided")


@dataclass(frozen=True)
class Condition:
    """`<name> <comparison> <value>`, e.g.

    `auc>0.7` or `xgboost.max_depth=6`; numbers compare as numbers, all else as text.
    """

    name: str
    comparison: str
    value: float | str

    @classmethod
    def parse(cls, text: str, *, number: bool) -> Condition:
        """From its text. Raises `RegistryError` with an example."""
        match = CONDITION.match(text)
        example = "auc>0.7" if number else "xgboost.max_depth=6"
        if match is None:
            valid = ", ".join(COMPARISONS)
            raise RegistryError(
                f"{text!r} is no condition; write <name><comparison><value>, for example {example};"
                f" valid are {valid}"
            )
        name, comparison, value = match.groups()
        as_number = _number(value)
        if number and as_number is None:
            raise RegistryError(f"{text!r}: {value!r} is no number; write for example {example}")
        return cls(name, comparison, value if as_number is None else as_number)

    def holds(self, observed: float | str | None) -> bool:
        """Whether a value fulfils it; a missing one never does."""
        if observed is None:
            return False
        limit, compare = self.value, COMPARISONS[self.comparison]
        if isinstance(limit, float):
            number = _number(observed)
            return number is not None and compare(number, limit)
        return compare(str(observed), limit)


@dataclass(frozen=True)
class Criteria:
    """All that must hold.

    `since` and `until` bound the end of the data interval, `[since, until)`.
    """

    use_cases: tuple[str, ...] = ()
    decision: str | None = None
    kind: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    metrics: tuple[Condition, ...] = ()
    parameters: tuple[Condition, ...] = ()
    tags: tuple[Condition, ...] = ()
    snapshot: str | None = None
    commit: str | None = None
    text: str | None = None

    def matches(self, training: Training) -> bool:
        """Whether a training fulfils everything."""
        return all(
            (
                self.decision in (None, training.decision),
                self.kind is None or self.kind in training.kinds,
                self.since is None
                or (
                    training.interval_end != ""
                    and datetime.fromisoformat(training.interval_end) >= self.since
                ),
                self.until is None
                or (
                    training.interval_end != ""
                    and datetime.fromisoformat(training.interval_end) < self.until
                ),
                all(
                    condition.holds(metric(training, condition.name)) for condition in self.metrics
                ),
                all(
                    condition.holds(training.parameters.get(condition.name))
                    for condition in self.parameters
                ),
                all(
                    condition.holds(
                        training.tags.get(
                            condition.name, training.tags.get(f"flightdeck.{condition.name}")
                        )
                    )
                    for condition in self.tags
                ),
                self.snapshot is None
                or self.snapshot == training.snapshot
                or training.snapshot_digest.startswith(self.snapshot),
                self.commit is None or training.commit.startswith(self.commit),
                self.text is None or self.text.lower() in _text(training),
            )
        )


def metric(training: Training, name: str) -> float | None:
    """A metric by its full name, or that of the test split by its short one (`auc` is
    `test.auc`).
    """
    return training.metrics.get(name, training.metrics.get(f"test.{name}"))


def search(every: Sequence[Training], criteria: Criteria) -> list[Training]:
    """The trainings that match, in their order.

    Raises `RegistryError` for a metric or parameter that no training has (a misspelt name would
    else find nothing without a word), for an unknown decision or kind of trigger, with what there
    is.
    """
    if every:
        _known(
            "metric",
            (part.name for part in criteria.metrics),
            {name for training in every for name in training.metrics},
            short="test.",
        )
        _known(
            "parameter",
            (part.name for part in criteria.parameters),
            {name for training in every for name in training.parameters},
        )
        _known(
            "trigger",
            [criteria.kind] if criteria.kind else [],
            {kind for training in every for kind in training.kinds},
        )
    _known("decision", [criteria.decision] if criteria.decision else [], set(DECISIONS))
    return [training for training in every if criteria.matches(training)]


def parse_moment(text: str) -> datetime:
    """`2013-04-01` or an ISO 8601 moment; without a zone it is UTC. Raises `RegistryError`."""
    try:
        moment = (
            datetime.fromisoformat(text)
            if len(text) > len("2013-04-01")
            else datetime.combine(date.fromisoformat(text), time())
        )
    except ValueError as error:
        raise RegistryError(
            f"{text!r} is no date; write for example 2013-04-01 or 2013-04-01T12:00+00:00"
        ) from error
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _known(what: str, names: Iterable[str], there: set[str], *, short: str = "") -> None:
    for name in names:
        if name in there or f"{short}{name}" in there:
            continue
        near = difflib.get_close_matches(
            name,
            sorted(there | {existing.removeprefix(short) for existing in there}),
            n=4,
            cutoff=0.5,
        )
        offered = f"near: {near}" if near else f"there are: {sorted(there)[:30]}"
        raise RegistryError(f"No training has the {what} {name!r}; {offered}.")


def _text(training: Training) -> str:
    remarks = (remark.text for remark in training.annotations)
    return "\n".join(
        [
            *remarks,
            *training.reasons,
            training.tags.get("flightdeck.causes", ""),
            training.tags.get("flightdeck.params", ""),
        ]
    ).lower()


def _number(value: float | str) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None
