"""How often the analysis of a rollout is wrong, and how soon it is right, by simulation on the
shipped code.

Three parts: `detection` (requests until a fault is caught), `rollouts` (whole canaries) and
`decisions` (A/B tests and bandits).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import typer

from cli.tables import print_table
from include.settings import load_settings
from include.stats.sequential import largest_rate
from proofs.bench.figure import Figure
from proofs.bench.release.decisions import CONTESTS, decide_many
from proofs.bench.release.detection import FAULTS, requests_until_caught, shares_of
from proofs.bench.release.rollouts import SCENARIOS, Ended, processes, run_many, shares
from proofs.bench.rows import RESULTS, write
from proofs.choices import check_names

SEED = 12
FALSE_ABORTS = 0.02
SURE = 0.025
BAD = (
    "twice the errors",
    "5 % errors",
    "1.2 times as slow",
    "flipped scores",
    "wrong on one slice",
)
QUIET = "ten requests only"


@dataclass(frozen=True)
class Sizes:
    """How often each part is simulated; `checked` paths of each fault ask the question itself."""

    paths: int
    checked: int
    identical: int
    rollouts: int
    contests: int


FULL = Sizes(paths=3_000, checked=150, identical=1_000, rollouts=200, contests=60)
QUICK = Sizes(paths=200, checked=10, identical=20, rollouts=5, contests=4)


def bench_release(
    *,
    quick: Annotated[
        bool, typer.Option("--quick", help="A few simulations, to see that it runs.")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(help="A part: detection, rollouts or decisions; may be repeated."),
    ] = None,
) -> None:
    """Simulate rollouts on the shipped analysis: how often it is wrong, how soon it is right.

    Writes bench/release.json in FLIGHTDECK_HOME.
    """
    check_names("part", only or [], list(PARTS))
    figures = measure_release(quick=quick, parts=only or list(PARTS))
    show(figures)
    path = load_settings().home / "bench" / ("release-quick.json" if quick else "release.json")
    write(path, [figure.as_json() for figure in figures])
    print(f"Written to {path}")


def measure_release(*, quick: bool, parts: Sequence[str]) -> list[Figure]:
    """All figures of the parts; with `quick` they are noise."""
    sizes = QUICK if quick else FULL
    with nullcontext(None) if quick else processes() as pool:
        return [figure for part in parts for figure in PARTS[part](sizes, pool)]


def show(figures: Sequence[Figure]) -> None:
    """Print the table."""
    print_table(
        "Simulated on the shipped analysis",
        ("figure", "value", "aim", "result", "detail"),
        (
            (
                figure.name,
                _number(figure.value),
                "-" if figure.aim is None else _number(figure.aim),
                RESULTS[figure.reached],
                figure.detail,
            )
            for figure in figures
        ),
        prose=("figure", "detail"),
    )


def _detection(sizes: Sizes, pool: Executor | None) -> Iterator[Figure]:
    run = map if pool is None else pool.map
    cases = shares_of(FAULTS)
    count = len(cases)
    measured = run(_caught, *zip(*cases, strict=True), [sizes] * count)
    for (fault, share), requests in zip(cases, measured, strict=True):
        table = fault.table[share]
        known = "" if table is None else f"the plain test needs {table:,}; "
        yield Figure(
            f"{fault.name} at {100 * share:g} %: requests until caught",
            float(np.median(requests)),
            fault.aim(share),
            f"median of {len(requests):,} runs, both versions together; {known}nine in ten within"
            f" {np.quantile(requests, 0.9, method='higher'):,.0f}",
        )


def _caught(fault: Any, share: float, sizes: Sizes) -> np.ndarray:
    return requests_until_caught(fault, share, runs=sizes.paths, seed=SEED, checked=sizes.checked)


def _rollouts(sizes: Sizes, pool: Executor | None) -> Iterator[Figure]:
    for name, scenario in SCENARIOS.items():
        runs = sizes.identical if name == "identical" else sizes.rollouts
        yield from _ends(name, run_many(scenario, runs, SEED, pool), _aims(name))


def _aims(name: str) -> dict[str, float]:
    if name == "identical":
        return {"refused": FALSE_ABORTS}
    if name == QUIET:
        return {"refused": 0.0, "promoted": 0.0}
    return {"promoted": FALSE_ABORTS} if name in BAD else {}


def _decisions(sizes: Sizes, pool: Executor | None) -> Iterator[Figure]:
    run = map if pool is None else pool.map
    names = list(CONTESTS)
    measured = run(decide_many, [CONTESTS[name] for name in names], [sizes.contests] * len(names))
    for name, decided in zip(names, measured, strict=True):
        aims = {"refused": FALSE_ABORTS, "promoted": FALSE_ABORTS} if "identical" in name else {}
        yield from _ends(name, [one.ended for one in decided], aims)
        if name.startswith("bandit"):
            traffic = float(np.mean([one.traffic for one in decided]))
            yield Figure(f"{name}: challenger's share of the traffic", traffic, None, "mean")


def _ends(name: str, ends: Sequence[Ended], aims: dict[str, float]) -> Iterator[Figure]:
    rules = sorted({rule for ended in ends for rule in ended.rules})
    for kind, value in shares(ends).items():
        count = round(value * len(ends))
        detail = f"{count:,} of {len(ends):,}"
        if kind in aims:
            bound = largest_rate(count, len(ends), SURE)
            detail += f"; the true share is at most {100 * bound:.2f} % (97.5 % sure)"
        if kind == "promoted":
            requests = np.median([ended.requests for ended in ends])
            detail += f"; median {requests:,.0f} requests to the end"
        if kind == "refused" and rules:
            detail += f"; by {', '.join(rules)}"
        yield Figure(f"{name}: {kind}", value, aims.get(kind), detail)


PARTS: dict[str, Callable[[Sizes, Executor | None], Iterator[Figure]]] = {
    "detection": _detection,
    "rollouts": _rollouts,
    "decisions": _decisions,
}


def _number(value: float) -> str:
    return f"{value:,.0f}" if value > 1.0 else f"{100 * value:.2f} %"
