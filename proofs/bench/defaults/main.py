"""How the limits that the scaffold proposes fare on public data: honest intervals refused, planted
faults caught, by the rule that caught them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from multiprocessing import get_context
from typing import Annotated

import typer

from cli.tables import print_table
from include.settings import load_settings
from proofs.bench.defaults.measure import Measured, Refusals, measure_set
from proofs.bench.defaults.sets import CASES, require
from proofs.bench.figure import Caught, Figure
from proofs.bench.rows import RESULTS, write
from proofs.choices import check_names

PROCESSES = 2
DAMAGED = 3
DAMAGED_QUICKLY = 1
REFUSED = 0.0
REFUSED_LATER = 0.1
"""Of intervals that the limits have not seen: one of ten, which a season's first year needs."""
SHOWN = 4
CAUGHT: dict[str, float | None] = {
    "sentinel": 1.0,
    "null share": 1.0,
    "recoded category": 1.0,
    "doubled rows": 1.0,
    "old delivery": 1.0,
    "stale copy": 1.0,
    "stand-in value": 0.9,
    "swapped columns": 0.9,
    "truncated to a fifth": 0.9,
}
"""The least share of planted faults that must be caught; the others are stated without an aim."""


def bench_defaults(
    *,
    quick: Annotated[
        bool, typer.Option("--quick", help="Faults in one interval of each set.")
    ] = False,
    only: Annotated[
        list[str] | None, typer.Option(help="A data set by its name; may be repeated.")
    ] = None,
) -> None:
    """Validate the real history of public data sets by the limits that new-use-case proposes.

    Writes bench/defaults.json in FLIGHTDECK_HOME. The data sets come from packages that
    requirements-examples.txt lists.
    """
    names = only or list(CASES)
    check_names("data set", names, list(CASES))
    require(names)
    figures = measure_defaults(names, DAMAGED_QUICKLY if quick else DAMAGED)
    show(figures)
    path = load_settings().home / "bench" / ("defaults-quick.json" if quick else "defaults.json")
    write(path, [figure.as_json() for figure in figures])
    print(f"Written to {path}")


def measure_defaults(names: Sequence[str], damaged: int) -> list[Figure]:
    """All figures of the data sets, each of which is measured in a process of its own."""
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        return list(figures_of(list(pool.map(measure_set, names, repeat(damaged)))))


def figures_of(measured: Sequence[Measured]) -> Iterator[Figure]:
    """Refusals by data set and of all of them, then faults by kind."""
    for item in measured:
        yield _refused(f"{item.name}: intervals refused", item.same, REFUSED)
        yield _refused(f"{item.name}: later intervals refused", item.later, None)
    yield _refused("all: intervals refused", _sum([item.same for item in measured]), REFUSED)
    later = _sum([item.later for item in measured])
    yield _refused("all: later intervals refused", later, REFUSED_LATER)
    faults = dict.fromkeys(fault for item in measured for fault in item.planted)
    for fault in faults:
        yield _caught(fault, [rules for item in measured for rules in item.planted.get(fault, [])])


def show(figures: Sequence[Figure]) -> None:
    """Print the table."""
    print_table(
        "Proposed limits on real histories, shares",
        ("figure", "value", "aim", "result", "detail"),
        (
            (
                figure.name,
                f"{figure.value:.2f}",
                "-" if figure.aim is None else f"{figure.aim:g}",
                RESULTS[figure.reached],
                figure.detail,
            )
            for figure in figures
        ),
        prose=("figure", "detail"),
    )


def _refused(name: str, refusals: Refusals, aim: float | None) -> Figure:
    share = refusals.refused / max(refusals.intervals, 1)
    rules = ", ".join(f"{rule} {count}" for rule, count in refusals.rules.most_common(SHOWN))
    detail = f"{refusals.refused} of {refusals.intervals}" + (f": {rules}" if rules else "")
    return Figure(name, share, aim, detail)


def _caught(fault: str, planted: Sequence[Sequence[str]]) -> Figure:
    caught = sum(bool(rules) for rules in planted)
    counts = Counter(rule for rules in planted for rule in rules)
    rules = ", ".join(f"{rule} {count}" for rule, count in counts.most_common())
    detail = f"{caught} of {len(planted)}" + (f": {rules}" if rules else "")
    return Caught(f"{fault}: caught", caught / len(planted), CAUGHT.get(fault), detail)


def _sum(parts: Sequence[Refusals]) -> Refusals:
    whole = Refusals(sum(part.intervals for part in parts), sum(part.refused for part in parts))
    for part in parts:
        whole.rules.update(part.rules)
    return whole
