"""A rule or gate switched off, to show that its case then gets through: the proof that it is this
one that refuses.

It replaces functions of the running process, so it exists in trials alone: the specification, the
settings and the DAGs know of no switch, and neither does production.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from include.data_sets import snapshot_checks, snapshot_verdict
from include.data_sets.representation import AGAINST_WHOLE, REPRESENTATION
from include.errors import SpecError
from include.evaluation.gates import registry
from include.processes import features
from include.quality import column_checks, delivery_checks, delivery_verdict, validation

# The functions of `snapshot_checks.CHECKS` by the rule that they judge; the other rules of a
# training set are those of a table.
SNAPSHOT_RULES = {
    "both classes": "both_classes",
    "label share": "label_share",
    "label after event": "label_after_question",
    "not all null": "features_present",
    "not constant": "features_vary",
    "label leakage": "no_leak",
    "time order": "in_time_order",
    "test rows in training": "no_test_rows_in_training",
    REPRESENTATION: "represented",
}
TABLE_RULES = (
    "row count",
    "columns",
    "type",
    "nulls",
    "range",
    "categories",
    "unique key",
    "window",
    "known before it happened",
    "row rule",
)
# What the declaration of a training set has too; what a source's rows say about each other is
# judged where they are delivered.
SET_RULES = TABLE_RULES[:-2]
COMPARED_RULES = (
    "null share",
    "label share",
    "distribution (PSI)",
    "distribution (shift)",
    "reference",
)
DELIVERY_RULES = (
    "sentinel",
    "duplicate delivery",
    "natural key",
    "volume",
    "unseen values",
    "missing segment",
    "mass point",
    "label after event",
    "cross-table rule",
)


def switchable_rules() -> dict[str, tuple[str, ...]]:
    """Every rule and gate that can be switched off, by task."""
    return {
        "validate_data": (*TABLE_RULES, *DELIVERY_RULES, *COMPARED_RULES),
        "validate_snapshot": tuple(
            dict.fromkeys((*SET_RULES, *SNAPSHOT_RULES, AGAINST_WHOLE, *COMPARED_RULES))
        ),
        "check_gates": tuple(gate.__name__ for gate in registry.all_gates()),
    }


def switches() -> list[str]:
    """Everything that can be switched off, as `<task>: <rule>`."""
    return [f"{task}: {rule}" for task, rules in switchable_rules().items() for rule in rules]


@contextmanager
def switched_off(names: Sequence[str]) -> Iterator[None]:
    """Run without the rules and gates named `<task>: <rule>`.

    Raises `SpecError` for a name that there is not.
    """
    with ExitStack() as stack:
        for name in names:
            if name not in switches():
                raise SpecError(f"there is no rule {name!r} to switch off; valid: {switches()}.")
            task, _, rule = name.partition(": ")
            for target, replacement in _SWITCHES[task](rule):
                stack.enter_context(patch(target, replacement))
        yield


Replacement = tuple[str, Any]


def _delivery(rule: str) -> Iterator[Replacement]:
    yield _declared(rule)
    for module, name in ((column_checks, "COLUMN_RULES"), (delivery_checks, "TABLE_RULES")):
        rules = getattr(module, name)
        yield (
            f"{module.__name__}.{name}",
            {key: check for key, check in rules.items() if key != rule},
        )
    if rule == "label after event":
        yield f"{delivery_verdict.__name__}.label_times", lambda *_: []
    if rule == "cross-table rule":
        yield (
            f"{delivery_verdict.__name__}.cross_table_failures",
            _silenced(vars(delivery_verdict)["cross_table_failures"]),
        )
    if rule == "reference":
        for module, name in ((delivery_verdict, "references"), (features, "champion_in_service")):
            yield f"{module.__name__}.{name}", _silenced(vars(module)[name])


def _snapshot(rule: str) -> Iterator[Replacement]:
    yield _declared(rule)
    remaining = tuple(
        check for check in snapshot_checks.CHECKS if check.__name__ != SNAPSHOT_RULES.get(rule)
    )
    yield f"{snapshot_checks.__name__}.CHECKS", remaining
    if rule == "reference":
        yield (
            f"{snapshot_verdict.__name__}.champion_reference",
            _silenced(vars(snapshot_verdict)["champion_reference"]),
        )
    if rule == AGAINST_WHOLE:
        yield (
            f"{snapshot_verdict.__name__}.against_whole",
            _silenced(vars(snapshot_verdict)["against_whole"]),
        )
    original = vars(snapshot_verdict)["against_champion"]

    def against_champion(*arguments: Any) -> tuple[list[Any], list[str]]:
        failures, notes = original(*arguments)
        return [failure for failure in failures if failure.rule != rule], notes

    yield f"{snapshot_verdict.__name__}.against_champion", against_champion


def _gate(name: str) -> Iterator[Replacement]:
    original = registry.all_gates
    yield (
        f"{registry.__name__}.all_gates",
        lambda *problem: tuple(gate for gate in original(*problem) if gate.__name__ != name),
    )


_SWITCHES: dict[str, Callable[[str], Iterator[Replacement]]] = {
    "validate_data": _delivery,
    "validate_snapshot": _snapshot,
    "check_gates": _gate,
}


def _declared(rule: str) -> Replacement:
    """The rules that a table's declaration makes, less one."""
    original = vars(validation)["rules_of"]
    return f"{validation.__name__}.rules_of", lambda *arguments: [
        one for one in original(*arguments) if one.name != rule
    ]


def _silenced(function: Callable[..., tuple[Any, ...]]) -> Callable[..., tuple[Any, ...]]:
    """The function with an empty list for the failures that it returns last."""
    return lambda *arguments: (*function(*arguments)[:-1], [])
