"""How often monitoring is wrong, and how soon it is right, by simulation on the shipped checks.

Parts: `false_alarms` on undrifted windows, `labels` on windows that a right model scored, `power`
on planted changes of inputs, `kinds` on planted changes of inputs, relation, classes and labels,
`estimate` on the real year, and `cost`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import typer

from cli.tables import print_table
from include.monitoring.checks.kind_of_change import TOO_MUCH
from include.settings import load_settings
from include.stats.sequential import largest_rate
from proofs.bench.figure import Figure
from proofs.bench.measure import Measured, run_child
from proofs.bench.monitoring import power
from proofs.bench.monitoring.false_alarms import Counted, Setting, count_alarms
from proofs.bench.monitoring.kinds import JUDGES, name_kinds
from proofs.bench.monitoring.labelled import CHANGES
from proofs.bench.monitoring.labels import LABELLED, count_false_alarms
from proofs.bench.monitoring.real_year import Month, estimate_months
from proofs.bench.monitoring.signs import promised_wrongly
from proofs.bench.monitoring.world import CATEGORY, NUMBER, SHIFTS
from proofs.bench.release.rollouts import processes
from proofs.bench.rows import RESULTS, write
from proofs.choices import check_names

SEED = 15
SURE = 0.025
WRONG_KINDS = 0.05
ESTIMATE_ERROR = 0.02
YEARS = ((1.0, SEED), (0.5, SEED), (1.0, SEED + 1))
"""Shares of the flights and seeds of the training whose year is estimated."""
TIMES_PLAIN = 2.0
FLAT_MB = 50.0
"""Memory beside the rows themselves that no number of rows may exceed: what a window holds."""
REPEATS, REPEATED_ROWS = 3, 1_000_000
SHARES = 4
"""Into how many tasks a setting is cut, so that both cores have work to the end."""


@dataclass(frozen=True)
class Sizes:
    """How much of each part is done: `windows`, and in how many of them Evidently is asked, by rows
    of a window; `labelled` windows of each setting of labels; `undrifted` statistics for equal
    limits and `runs` of each planted change of an input; windows of each of the other `changes` and
    of none (`steady`); the `share` of the real flights; `rows` of the cost.
    """

    windows: dict[int, tuple[int, int]]
    labelled: int
    undrifted: int
    runs: int
    changes: int
    steady: int
    share: float
    rows: tuple[int, ...]


FULL = Sizes(
    windows={300: (800, 100), 1_000: (800, 100), 5_000: (400, 40), 50_000: (400, 8)},
    labelled=2_000,
    undrifted=3_000,
    runs=40,
    changes=20,
    steady=200,
    share=1.0,
    rows=(27_000, 336_000, 10_000_000),
)
QUICK = Sizes(
    windows={300: (8, 4), 1_000: (4, 4)},
    labelled=8,
    undrifted=40,
    runs=2,
    changes=1,
    steady=1,
    share=0.1,
    rows=(5_000,),
)


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


def _labels(sizes: Sizes, pool: Executor | None) -> Iterator[Figure]:
    run = map if pool is None else pool.map
    shares = 1 if pool is None else SHARES
    tasks = [(setting, SEED + share) for setting in LABELLED for share in range(shares)]
    each = [sizes.labelled // shares] * len(tasks)
    settings, seeds = zip(*tasks, strict=True)
    counted = list(run(count_false_alarms, settings, each, seeds))
    for place, setting in enumerate(LABELLED):
        parts = counted[place * shares : (place + 1) * shares]
        windows = sum(part.windows for part in parts)
        refused = {how: sum(part.refused[how] for part in parts) for how in parts[0].refused}
        bound = largest_rate(refused["blocks"], windows, SURE)
        others = ", ".join(f"{how} {count}" for how, count in refused.items() if how != "blocks")
        yield Figure(
            f"false alarms a report on labels, {setting.name}",
            refused["blocks"] / windows,
            power.FALSE_ALARMS,
            f"{refused['blocks']} of {windows:,} reports without any limit beside chance; the true"
            f" share is at most {100 * bound:.2f} % (97.5 % sure); {others}",
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
    detail = "; ".join(
        f"{method} {_windows(medians[method])} ({100 * at_once[method]:.0f} % at once)"
        for method in medians
    )
    equal = min(value for method, value in medians.items() if method.endswith("equal"))
    return Figure(f"windows until {name} alarms", medians["ours"], equal, detail)


def _kinds(sizes: Sizes, pool: Executor | None) -> Iterator[Figure]:
    run = map if pool is None else pool.map
    counts = [sizes.steady if name == "nothing" else sizes.changes for name in CHANGES]
    measured = dict(
        zip(CHANGES, run(name_kinds, CHANGES, counts, [SEED] * len(counts)), strict=True)
    )
    right = {
        name: named.kinds.get(CHANGES[name][0], 0) / named.windows
        for name, named in measured.items()
    }
    for kind in ("covariate", "concept", "prior"):
        names = [name for name in CHANGES if CHANGES[name][0] == kind]
        yield Figure(
            f"share of {kind} shifts that are named otherwise",
            1.0 - float(np.mean([right[name] for name in names])),
            WRONG_KINDS if kind != "prior" else None,
            "; ".join(f"{name}: {100 * right[name]:.0f} % right" for name in names),
        )
    steady = measured["nothing"]
    for check in JUDGES:
        name = check.__name__
        wrong = steady.refused.get(name, 0)
        bound = largest_rate(wrong, steady.windows, SURE)
        yield Figure(
            f"false alarms a report, {name}",
            wrong / steady.windows,
            power.FALSE_ALARMS,
            f"{wrong} of {steady.windows}; the true share is at most {100 * bound:.2f} % (97.5 %"
            " sure)",
        )
    for name in ("a weaker relation", "a turned relation"):
        refused = measured[name].refused
        yield Figure(
            f"share of windows in which {name} does not alarm",
            1.0 - max(refused.values(), default=0) / measured[name].windows,
            0.0,
            ", ".join(f"{check} {count}" for check, count in sorted(refused.items()))
            + f" of {measured[name].windows} windows; inputs alone, as Evidently and PSI see them,"
            " are what they were",
        )


def _estimate(sizes: Sizes, pool: Executor | None) -> Iterator[Figure]:
    run = map if pool is None else pool.map
    shares, seeds = zip(*((share * sizes.share, seed) for share, seed in YEARS), strict=True)
    for share, seed, months in zip(shares, seeds, run(estimate_months, shares, seeds), strict=True):
        which = f"{100 * share:g} % of the flights, training {seed}"
        holding = [month for month in months if month.holds]
        chance = np.sqrt(2.0 / np.pi) * np.mean([month.by_chance for month in holding])
        for how, errors, part in (
            ("the test split alone", [month.by_reference for month in holding], holding),
            ("the months before", [month.by_months for month in holding], holding),
        ):
            yield Figure(
                f"error of the estimated AUC where the concept holds, calibrated on {how}, {which}",
                float(np.mean(np.abs(errors))),
                ESTIMATE_ERROR if how == "the months before" else None,
                f"the truth's own chance makes {chance:.3f}; by month (above zero: promised too"
                f" much): {_by_month(part, errors)}",
            )
        yield from _changed(which, [month for month in months if not month.holds])
    wrong = promised_wrongly(sizes.changes, SEED)
    yield Figure(
        "share of planted changes of the relation of which the estimate errs to another side than"
        " stated",
        sum(wrong.values()) / (len(wrong) * sizes.changes),
        WRONG_KINDS,
        "; ".join(f"{name}: {count} of {sizes.changes}" for name, count in wrong.items()),
    )


def _changed(which: str, months: Sequence[Month]) -> Iterator[Figure]:
    """Of the months whose relation changed: the error, and how often its stated side was wrong."""
    if not months:
        return
    stated = [month.promises == TOO_MUCH for month in months]
    errors = [month.by_reference for month in months]
    wrong = sum(much != (error > 0.0) for much, error in zip(stated, errors, strict=True))
    yield Figure(
        f"months of a changed relation whose estimate errs to another side than stated, {which}",
        wrong,
        0.0,
        f"of {len(months)}; stated: {', '.join(month.promises for month in months)}; by the test"
        f" split alone {_by_month(months, errors)}; by the months before"
        f" {_by_month(months, [month.by_months for month in months])}",
    )


def _by_month(months: Sequence[Month], errors: Sequence[float]) -> str:
    return "; ".join(
        f"{month.month}: {error:+.3f} of {month.truth:.3f}, {month.kind}"
        for month, error in zip(months, errors, strict=True)
    )


def _cost(sizes: Sizes, pool: Executor | None) -> Iterator[Figure]:  # noqa: ARG001
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    for rows in sizes.rows:
        measured = {
            name: _middle(
                [
                    run_child(f"monitoring_{name}", {"rows": rows}, environment)
                    for _ in range(REPEATS if rows <= REPEATED_ROWS else 1)
                ]
            )
            for name in ("ours", "plain", "evidently")
        }
        ours, plain = measured["ours"], measured["plain"]
        yield Figure(
            f"time for {rows:,} rows over plain NumPy's",
            ours.seconds / plain.seconds,
            TIMES_PLAIN,
            "; ".join(f"{name} {_spent(one)}" for name, one in measured.items()),
        )
        yield Figure(
            f"memory for {rows:,} rows beside the rows themselves, MB",
            _above_inputs(ours),
            FLAT_MB,
            "; ".join(f"{name} {_above_inputs(one):.0f} MB" for name, one in measured.items()),
        )


def _middle(measured: Sequence[Measured]) -> Measured:
    """The one whose time is the median."""
    return sorted(measured, key=lambda one: one.seconds)[len(measured) // 2]


def _spent(one: Measured) -> str:
    return f"{one.stopped or f'{one.seconds:.2f} s'}, {one.peak_mb:,.0f} MB in all"


def _above_inputs(one: Measured) -> float:
    """What the comparison took beside the rows; of a child that was ended all that it had."""
    return one.peak_mb - float(one.answer.get("inputs_mb", 0.0))


def _windows(count: float) -> str:
    return f"over {power.MOST_WINDOWS}" if count > power.MOST_WINDOWS else f"{count:g}"


PARTS: dict[str, Callable[[Sizes, Executor | None], Iterator[Figure]]] = {
    "false_alarms": _false_alarms,
    "labels": _labels,
    "power": _power,
    "kinds": _kinds,
    "estimate": _estimate,
    "cost": _cost,
}
