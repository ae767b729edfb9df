"""How often monitoring is wrong, and how soon it is right, by simulation on the shipped checks.

Parts: `false_alarms` on undrifted windows and `power` on planted changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import typer

from cli.tables import print_table
from include.settings import load_settings
from include.stats.sequential import largest_rate
from proofs.bench.figure import Figure
from proofs.bench.monitoring import power
from proofs.bench.monitoring.false_alarms import Counted, Setting, count_alarms
from proofs.bench.monitoring.world import CATEGORY, NUMBER, SHIFTS
from proofs.bench.release.rollouts import processes
from proofs.bench.rows import RESULTS, write
from proofs.choices import check_names

SEED = 15
SURE = 0.025
SHARES = 4
"""Into how many tasks a setting is cut, so that both cores have work to the end."""


@dataclass(frozen=True)
class Sizes:
    """How much of each part is done; `windows` and `of_evidently` by rows of a window."""

    windows: dict[int, tuple[int, int]]
    undrifted: int
    runs: int


FULL = Sizes({300: (800, 100), 1_000: (800, 100), 5_000: (400, 40), 50_000: (60, 8)}, 3_000, 40)
QUICK = Sizes({300: (8, 4), 1_000: (4, 4)}, 40, 2)


def bench_monitoring(
    *,
    quick: Annotated[
        bool, typer.Option("--quick", help="A few simulations, to see that it runs.")
    ] = False,
    only: Annotated[
        list[str] | None, typer.Option(help="One part of the bench; may be repeated.")
    ] = None,
) -> None:
    """State how often monitoring is wrong and how soon it is right, beside what others do.

    Writes bench/monitoring.json in FLIGHTDECK_HOME.
    """
    check_names("part", only or [], list(PARTS))
    figures = measure_monitoring(quick=quick, parts=only or list(PARTS))
    show(figures)
    name = "monitoring-quick.json" if quick else "monitoring.json"
    path = load_settings().home / "bench" / name
    write(path, [figure.as_json() for figure in figures])
    print(f"Written to {path}")


def measure_monitoring(*, quick: bool, parts: Sequence[str]) -> list[Figure]:
    """All figures of the parts; with `quick` they are noise."""
    sizes = QUICK if quick else FULL
    with nullcontext(None) if quick else processes() as pool:
        return [figure for part in parts for figure in PARTS[part](sizes, pool)]


def show(figures: Sequence[Figure]) -> None:
    """Print the table."""
    print_table(
        "Simulated on the shipped checks",
        ("figure", "value", "aim", "result", "detail"),
        (
            (
                figure.name,
                f"{figure.value:.4g}",
                "-" if figure.aim is None else f"{figure.aim:.4g}",
                RESULTS[figure.reached],
                figure.detail,
            )
            for figure in figures
        ),
        prose=("figure", "detail"),
    )


def _false_alarms(sizes: Sizes, pool: Executor | None) -> Iterator[Figure]:
    run = map if pool is None else pool.map
    settings = [
        Setting(rows, blocks, *counts)
        for rows, counts in sizes.windows.items()
        for blocks in (False, True)
    ]
    shares = 1 if pool is None else SHARES
    tasks = [(setting, SEED + share) for setting in settings for share in range(shares)]
    counted = list(
        run(
            count_alarms,
            *zip(*tasks, strict=True),
            [setting.windows // shares for setting, _ in tasks],
            [setting.of_evidently // shares for setting, _ in tasks],
        )
    )
    for place, setting in enumerate(settings):
        yield from _counted(setting, counted[place * shares : (place + 1) * shares])


def _counted(setting: Setting, parts: Sequence[Counted]) -> Iterator[Figure]:
    ours = np.array([count for part in parts for count in part.ours])
    others = np.array([count for part in parts for count in part.evidently])
    wrong = int((ours > 0).sum())
    bound = largest_rate(wrong, len(ours), SURE)
    checks = {name: sum(part.by_check[name] for part in parts) for name in parts[0].by_check}
    names = ", ".join(f"{name} {count}" for name, count in checks.items() if count) or "none"
    yield Figure(
        f"false alarms a report, {setting.name}",
        float(ours.mean()),
        power.FALSE_ALARMS,
        f"{wrong} of {len(ours):,} reports ({names}); the true share is at most"
        f" {100 * bound:.2f} % (97.5 % sure)",
    )
    yield Figure(
        f"false alarms a report, {setting.name}: Evidently's default",
        float(others.mean()),
        None,
        f"{int((others > 0).sum())} of {len(others):,} of the same reports have one",
    )


def _power(sizes: Sizes, pool: Executor | None) -> Iterator[Figure]:
    run = map if pool is None else pool.map
    keys = [(method, column) for method in power.OTHERS for column in (NUMBER, CATEGORY)]
    drawn = run(
        power.undrifted_statistics,
        *zip(*keys, strict=True),
        [sizes.undrifted] * len(keys),
        [SEED] * len(keys),
    )
    limits = {
        key: power.equal_limit(statistics) for key, statistics in zip(keys, drawn, strict=True)
    }
    cases = [(shift.name, size) for shift in SHIFTS.values() for size in shift.sizes]
    measured = run(
        power.delays,
        *zip(*cases, strict=True),
        [sizes.runs] * len(cases),
        [SEED] * len(cases),
        [limits] * len(cases),
    )
    for (name, size), delays in zip(cases, measured, strict=True):
        yield _delay(f"{name} by {size:g}", delays)


def _delay(name: str, delays: power.Delays) -> Figure:
    """The median delay of ours, which aims at the sooner of both others at equal false alarms."""
    medians = {method: float(np.median(values)) for method, values in delays.windows.items()}
    at_once = {
        method: float(np.mean(np.array(values) == 1)) for method, values in delays.windows.items()
    }
    told = "; ".join(
        f"{method} {_windows(medians[method])} ({100 * at_once[method]:.0f} % at once)"
        for method in medians
    )
    equal = min(value for method, value in medians.items() if method.endswith("equal"))
    return Figure(f"windows until {name} alarms", medians["ours"], equal, told)


def _windows(count: float) -> str:
    return f"over {power.MOST_WINDOWS}" if count > power.MOST_WINDOWS else f"{count:g}"


PARTS: dict[str, Callable[[Sizes, Executor | None], Iterator[Figure]]] = {
    "false_alarms": _false_alarms,
    "power": _power,
}
