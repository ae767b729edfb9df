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
        found = CONDITION.match(text)
        example = "auc>0.7" if number else "xgboost.max_depth=6"
        if found is None:
            valid = ", ".join(COMPARISONS)
            raise RegistryError(
                f"{text!r} is no condition; write <name><comparison><value>, for example {example};"
                f" valid are {valid}"
            )
        name, comparison, value = found.groups()
        as_number = _number(value)
        if number and as_number is None:
            raise RegistryError(f"{text!r}: {value!r} is no number; write for example {example}")
        return cls(name, comparison, value if as_number is None else as_number)

    def holds(self, given: float | str | None) -> bool:
        """Whether a value fulfils it; a missing one never does."""
        if given is None:
            return False
        wanted, compare = self.value, COMPARISONS[self.comparison]
        if isinstance(wanted, float):
            number = _number(given)
            return number is not None and compare(number, wanted)
        return compare(str(given), wanted)


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

    def matches(self, one: Training) -> bool:
        """Whether a training fulfils everything."""
        return all(
            (
                self.decision in (None, one.decision),
                self.kind is None or self.kind in one.kinds,
                self.since is None
                or (
                    one.interval_end != ""
                    and datetime.fromisoformat(one.interval_end) >= self.since
                ),
                self.until is None
                or (
                    one.interval_end != "" and datetime.fromisoformat(one.interval_end) < self.until
                ),
                all(condition.holds(metric(one, condition.name)) for condition in self.metrics),
                all(
                    condition.holds(one.parameters.get(condition.name))
                    for condition in self.parameters
                ),
                all(
                    condition.holds(
                        one.tags.get(condition.name, one.tags.get(f"flightdeck.{condition.name}"))
                    )
                    for condition in self.tags
                ),
                self.snapshot is None
                or self.snapshot == one.snapshot
                or one.snapshot_digest.startswith(self.snapshot),
                self.commit is None or one.commit.startswith(self.commit),
                self.text is None or self.text.lower() in _text(one),
            )
        )


def metric(one: Training, name: str) -> float | None:
    """A metric by its full name, or that of the test split by its short one (`auc` is `test.auc`)."""
    return one.metrics.get(name, one.metrics.get(f"test.{name}"))


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
            {name for one in every for name in one.metrics},
            short="test.",
        )
        _known(
            "parameter",
            (part.name for part in criteria.parameters),
            {name for one in every for name in one.parameters},
        )
        _known(
            "trigger",
            [criteria.kind] if criteria.kind else [],
            {kind for one in every for kind in one.kinds},
        )
    _known("decision", [criteria.decision] if criteria.decision else [], set(DECISIONS))
    return [one for one in every if criteria.matches(one)]


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
            name, sorted(there | {one.removeprefix(short) for one in there}), n=4, cutoff=0.5
        )
        offered = f"near: {near}" if near else f"there are: {sorted(there)[:30]}"
        raise RegistryError(f"No training has the {what} {name!r}; {offered}.")


def _text(one: Training) -> str:
    said = (remark.text for remark in one.annotations)
    return "\n".join(
        [
            *said,
            *one.reasons,
            one.tags.get("flightdeck.causes", ""),
            one.tags.get("flightdeck.params", ""),
        ]
    ).lower()


def _number(value: float | str) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None
