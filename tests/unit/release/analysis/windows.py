"""Windows of two versions that serve side by side, as the log would give them."""

from __future__ import annotations

from dataclasses import replace

from include.release.analysis.base import AnalysisInput
from include.release.analysis.observed import ArmWindow, Comparison, Matured, Observed
from include.release.analysis.registry import ReleaseVerdict, analyse
from include.spec import Canary, Release, Strategy

SCORES = (400, 300, 200, 100, 0)
CANARY = Canary(minimum_rows=500)


def champion(rows=9_500, share=0.95, **counts):
    """The champion's window: nothing but answers, unless `counts` say otherwise."""
    return ArmWindow("champion", 3, "c" * 64, 12, share, rows, **_counted(rows, counts))


def challenger(rows=500, share=0.05, role="challenger", **counts):
    """The same of the challenger."""
    return ArmWindow(role, 4, "d" * 64, 12, share, rows, **_counted(rows, counts))


def _counted(rows, counts):
    scores = tuple(count * rows // 1000 for count in SCORES)
    return {"scores": scores, "p95_ms": 5.0, "units": rows, **counts}


def observed(first=None, second=None, **more):
    """One step with the champion's and the challenger's window."""
    step = Comparison(first or champion(), second or challenger())
    return Observed("flight_delays", (step,), slow_ms=7.0, **more)


def release(strategy: Strategy = CANARY, **analysis) -> Release:
    """A release of that strategy with the default limits."""
    declared = Release(strategy=strategy)
    return declared.model_copy(update={"analysis": declared.analysis.model_copy(update=analysis)})


def case(*windows, strategy=CANARY, analysis=None, **more) -> AnalysisInput:
    """What a question gets."""
    return AnalysisInput(observed(*windows, **more), release(strategy, **(analysis or {})))


def verdict(*windows, strategy=CANARY, **more) -> ReleaseVerdict:
    """What all questions say."""
    return analyse(release(strategy), observed(*windows, **more))


def with_steps(*steps) -> Observed:
    """Several plans of one rollout."""
    return replace(observed(), steps=steps)


def one(findings):
    """The only finding."""
    assert len(findings) == 1, findings
    return findings[0]


def matured(challenger, champion, name="loss", rows=2000):
    """Outcomes of both arms with those means, of a number between 0 and 1."""
    return tuple(
        Matured(name, role, rows, mean, mean * (1 - mean))
        for role, mean in (("challenger", challenger), ("champion", champion))
    )
