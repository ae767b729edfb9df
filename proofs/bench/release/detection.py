"""How many requests of both arms together pass until a worse version is caught, looked at after
every request.

The evidence along a whole path is computed at once with the shipped functions. The question itself
(`errors`, `latency`) is then asked at the moment of every detection and at the event before, and
must refuse and not refuse: what is timed is what runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from include.errors import FlightdeckError
from include.release.analysis.base import RELEVANT_RATIO, AnalysisInput
from include.release.analysis.failures import errors
from include.release.analysis.latency import latency
from include.release.analysis.observed import ArmWindow, Comparison, Observed
from include.spec import Canary, Release
from include.stats.sequential import busy_share, excess_evidence, log_threshold
from include.verdict import Finding
from proofs.bench.release.truth import ERROR_RATE, SLOW_RATE, slow_share

HORIZON = 4.0
"""A path is followed for so many times what the shortest test would need on average."""
MOST_EVENTS = 400_000
"""In memory at once."""
RELEASE = Release(strategy=Canary())


@dataclass(frozen=True)
class Fault:
    """A rate of events that goes up, the question that must notice, and the requests that the table
    of the plain beta-binomial test needs at each share (None: not in the table).
    """

    name: str
    question: str
    before: float
    after: float
    table: dict[float, int | None]

    def aim(self, share: float) -> float | None:
        """A fifth more than the table."""
        requests = self.table[share]
        return None if requests is None else 1.2 * requests


FAULTS = (
    Fault("errors 1 -> 2 %", "errors", ERROR_RATE, 0.02, {0.05: 24_391, 0.1: 12_016, 0.5: 4_132}),
    Fault("errors 1 -> 5 %", "errors", ERROR_RATE, 0.05, {0.05: 2_461, 0.1: 1_560, 0.5: 670}),
    Fault("errors 1 -> 20 %", "errors", ERROR_RATE, 0.2, {0.05: 420, 0.1: 245, 0.5: 125}),
    Fault("latency x 1.1", "latency", SLOW_RATE, slow_share(1.1), {0.1: None}),
    Fault(
        "latency x 1.2", "latency", SLOW_RATE, slow_share(1.2), {0.05: None, 0.1: 2_263, 0.5: None}
    ),
    Fault("latency x 2", "latency", SLOW_RATE, slow_share(2.0), {0.1: 136}),
)

QUESTIONS: dict[str, Callable[[AnalysisInput], list[Finding]]] = {
    "errors": errors,
    "latency": latency,
}


@dataclass(frozen=True)
class Paths:
    """Simulated traffic, event by event: requests of both arms, rows of the challenger, events on
    the challenger; all of shape (runs, events).
    """

    requests: np.ndarray
    rows: np.ndarray
    hits: np.ndarray

    @property
    def events(self) -> np.ndarray:
        """1, 2, ... along a path."""
        return np.arange(1, self.hits.shape[1] + 1)


def requests_until_caught(
    fault: Fault, share: float, *, runs: int, seed: int, checked: int
) -> np.ndarray:
    """The requests until the fault is caught, shape (runs,); infinite where it was not.

    `checked` of the runs are checked with the question itself. Raises `FlightdeckError` where it
    says otherwise.
    """
    events, generator = _expected_events(fault, share), np.random.default_rng(seed)
    batches = -(-runs * events // MOST_EVENTS)
    parts = [
        _batch(fault, share, -(-runs // batches), events, generator, -(-checked // batches))
        for _ in range(batches)
    ]
    return np.concatenate(parts)[:runs]


def _batch(
    fault: Fault, share: float, runs: int, events: int, generator: np.random.Generator, checked: int
) -> np.ndarray:
    paths = _paths(fault, share, runs, events, generator)
    caught = _caught(paths, fault, share)
    first = caught.argmax(axis=1)
    ends = paths.requests[np.arange(runs), first].astype(np.float64)
    for run in np.flatnonzero(caught.any(axis=1))[:checked]:
        _check(paths, fault, share, int(run), int(first[run]))
    return np.where(caught.any(axis=1), ends, np.inf)


def _expected_events(fault: Fault, share: float) -> int:
    events = share * fault.after + (1.0 - share) * fault.before
    on_challenger = share * fault.after / events
    divergence = on_challenger * np.log(on_challenger / share) + (1.0 - on_challenger) * np.log(
        (1.0 - on_challenger) / (1.0 - share)
    )
    return int(HORIZON * log_threshold(_alpha(fault)) / divergence) + 10


def _paths(
    fault: Fault, share: float, runs: int, events: int, generator: np.random.Generator
) -> Paths:
    """The gaps between events are geometric; of the rows between two events the challenger got its
    share by chance.
    """
    rate = share * fault.after + (1.0 - share) * fault.before
    gaps = generator.geometric(rate, size=(runs, events))
    hits = generator.random((runs, events)) < share * fault.after / rate
    quiet = share * (1.0 - fault.after) / (1.0 - rate)
    rows = generator.binomial(gaps - 1, quiet) + hits
    return Paths(gaps.cumsum(axis=1), rows.cumsum(axis=1), hits.cumsum(axis=1))


def _caught(paths: Paths, fault: Fault, share: float) -> np.ndarray:
    """Where the question would refuse, as `excess_of` and `Excess.fails` decide it."""
    events = np.broadcast_to(paths.events, paths.hits.shape)
    busy = np.minimum(busy_share(paths.rows, paths.requests, share), 1.0 - 1e-6)
    evidence = np.minimum(
        excess_evidence(paths.hits, events, share), excess_evidence(paths.hits, events, busy)
    )
    others = paths.requests - paths.rows
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = paths.hits * others / ((events - paths.hits) * paths.rows)
    enough = np.where(events > paths.hits, ratio >= RELEVANT_RATIO, paths.hits * others > 0)
    return np.asarray((evidence >= log_threshold(_alpha(fault))) & enough)


def _check(paths: Paths, fault: Fault, share: float, run: int, at: int) -> None:
    said = [_refuses(paths, fault, share, run, place) for place in (at, at - 1) if place >= 0]
    if said[0] is not True or any(said[1:]):
        raise FlightdeckError(
            f"The simulation of {fault.name} at a share of {share:g} and the question"
            f" {fault.question!r} disagree about run {run}, event {at}: it refuses {said}."
        )


def _refuses(paths: Paths, fault: Fault, share: float, run: int, at: int) -> bool:
    requests, rows, hits = (int(part[run, at]) for part in (paths.requests, paths.rows, paths.hits))
    step = Comparison(
        _window(fault, "champion", 1.0 - share, requests - rows, at + 1 - hits),
        _window(fault, "challenger", share, rows, hits),
    )
    observed = Observed("simulated", (step,), slow_ms=1.0)
    findings = QUESTIONS[fault.question](AnalysisInput(observed, RELEASE))
    return any(not finding.passed for finding in findings)


def _window(fault: Fault, role: str, share: float, rows: int, hits: int) -> ArmWindow:
    window = ArmWindow(role, 3 if role == "champion" else 4, role[0] * 64, 1, share, rows)
    if fault.question == "errors":
        return replace(window, errors=hits)
    return replace(window, slow=hits)


def _alpha(fault: Fault) -> float:
    observed = Observed("simulated", ())
    return AnalysisInput(observed, RELEASE).alpha(fault.question)


def shares_of(faults: Sequence[Fault]) -> list[tuple[Fault, float]]:
    """Every fault with every share that is asked for."""
    return [(fault, share) for fault in faults for share in fault.table]
