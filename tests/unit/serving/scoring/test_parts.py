"""Rows are scored by their own arm, and by the champion where that fails: never lost, never by a
third, and the log says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from include.errors import DataError
from include.features.online.store import LookedUp
from serving.scoring.arm import Arm
from serving.scoring.parts import FAILURES_LIMIT, Asked, Failures, score_parts, try_rows

NOTHING: Any = None


class Scorer:
    """Scores a row by its number and the version; raises for the rows that it is to fail."""

    def __init__(self, version: int, fails: Sequence[int] = (), error: type = ValueError) -> None:
        self.version = version
        self.fails = set(fails)
        self.error = error
        self.calls: list[list[int]] = []
        self.rows = SimpleNamespace(unseen=lambda source: [f"unseen:{version}:{source['n']}"])

    def score(self, sources: Sequence[dict[str, Any]]) -> tuple[Any, list[float]]:
        numbers = [source["n"] for source in sources]
        self.calls.append(numbers)
        if self.fails & set(numbers):
            raise self.error("row at fault")
        return np.zeros((len(sources), 1)), [100.0 * self.version + number for number in numbers]


def arm(version: int, scorer: Scorer, fallback: Arm | None = None) -> Arm:
    model: Any = SimpleNamespace(
        version=version, digest=f"digest-{version}", scorer=scorer, model=SimpleNamespace(fitted=0)
    )
    role: Any = "challenger" if fallback else "champion"
    return Arm(role, version, model, 0.5, 7, fallback)


def asked(rows: int) -> Asked:
    use_case: Any = SimpleNamespace(serving=SimpleNamespace(explain_share=0.0))
    sources = [{"n": number} for number in range(rows)]
    names = [str(number) for number in range(rows)]
    lookup = LookedUp([{}] * rows, NOTHING, NOTHING, NOTHING)
    return Asked(use_case, sources, lookup, sources, names, [False] * rows)


def results(rows: Sequence[Any]) -> list[tuple[Any, ...]]:
    return [(moment.version, moment.arm, score, moment.fallback) for _, moment, score, _, _ in rows]


def test_one_arm_scores_all_rows_at_once():
    scorer = Scorer(1)
    rows = score_parts(asked(3), arm(1, scorer))
    assert scorer.calls == [[0, 1, 2]]
    assert results(rows) == [(1, "champion", 100.0 + n, None) for n in range(3)]
    assert (rows[0][1].digest, rows[0][1].plan) == ("digest-1", 7)


def test_each_row_is_scored_by_its_own_arm_in_its_own_place():
    champion = arm(1, Scorer(1))
    challenger = arm(2, Scorer(2), champion)
    rows = score_parts(asked(4), [challenger, champion, challenger, champion])
    assert results(rows) == [
        (2, "challenger", 200.0, None),
        (1, "champion", 101.0, None),
        (2, "challenger", 202.0, None),
        (1, "champion", 103.0, None),
    ]
    assert [row[3] for row in rows] == [
        ["unseen:2:0"],
        ["unseen:1:1"],
        ["unseen:2:2"],
        ["unseen:1:3"],
    ]


@pytest.mark.parametrize("fails", [[2], [0, 5], [0, 1, 2, 3, 4, 5]])
def test_only_the_rows_that_an_arm_fails_are_the_champions(fails: list[int]):
    champion = arm(1, Scorer(1))
    challenger = arm(2, Scorer(2, fails), champion)
    rows = score_parts(asked(6), challenger)
    assert results(rows) == [
        (1, "challenger", 100.0 + n, "ValueError: row at fault")
        if n in fails
        else (2, "challenger", 200.0 + n, None)
        for n in range(6)
    ]
    assert rows[fails[0]][1].digest == "digest-1"


def test_an_arm_that_fails_and_fails_is_not_tried_for_ever():
    champion, broken = arm(1, Scorer(1)), Scorer(2, range(200))
    rows = score_parts(asked(200), arm(2, broken, champion))
    assert sum(len(numbers) == 1 for numbers in broken.calls) == FAILURES_LIMIT
    assert len(broken.calls) < 3 * FAILURES_LIMIT
    assert {row[1].version for row in rows} == {1}
    scorer: Any = champion.model.scorer
    assert scorer.calls == [list(range(200))]


def test_what_the_champion_fails_is_raised():
    champion = arm(1, Scorer(1, [1], DataError))
    with pytest.raises(DataError, match="row at fault"):
        score_parts(asked(2), champion)
    with pytest.raises(DataError, match="row at fault"):
        score_parts(asked(2), arm(2, Scorer(2, [1], DataError), champion))


def test_without_a_champion_behind_it_a_failed_row_has_no_score():
    failures = Failures()
    rows = try_rows(asked(3), arm(3, Scorer(3, [1])), range(3), failures)
    assert [row is None for row in rows] == [False, True, False]
    assert failures.reason == "ValueError: row at fault"
