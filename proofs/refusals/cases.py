"""Every case, in the order of the table."""

from __future__ import annotations

from proofs.refusals import data_cases, good_case, model_cases
from proofs.refusals.case import Case

CASES: tuple[Case, ...] = (*data_cases.CASES, *model_cases.CASES, *good_case.CASES)


def case(name: str) -> Case:
    """The case of that name; `KeyError` lists the names there are."""
    for candidate in CASES:
        if candidate.name == name:
            return candidate
    raise KeyError(f"no case {name!r}; there are {[candidate.name for candidate in CASES]}")
