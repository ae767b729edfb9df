"""Candidates with one fault each, trained by the wired training DAG; its gates have to refuse them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cli.refusals.case import Case
from cli.refusals.verdict import Outcome
from cli.refusals.world import CANDIDATE_UNTIL, CHAMPION_UNTIL, World

GATES = "check_gates"


def _training(changes: Mapping[str, Any], until: str = CANDIDATE_UNTIL) -> Callable[[World], Outcome]:
    def act(world: World) -> Outcome:
        world.overlay(changes)
        return world.train(until)

    return act


def _equal_model(world: World) -> Outcome:
    """The champion's own window and number of trials give the champion again."""
    return world.train(CHAMPION_UNTIL)


def _missing_champion(world: World) -> Outcome:
    """The registry still names a champion; the files of its package are gone."""
    from include.registry import versions

    champion = versions.champion(world.settings, world.use_case)
    folders = [path.parent for path in (world.settings.home / "mlflow").rglob("model.ubj")]
    for folder in folders:
        shutil.rmtree(folder)
    if champion is None or not folders:
        raise RuntimeError("there is no champion whose artefact could be removed")
    return world.train()


def _tampered(world: World) -> Outcome:
    """One byte of the package changes between its evaluation and the gates."""
    from cli.refusals.sabotage import after

    with after("evaluate_model", lambda: _flip_byte(newest_package(world) / "model.ubj")):
        return world.train()


def newest_package(world: World) -> Path:
    """The folder of the package that was trained last."""
    return max((world.settings.home / "work").rglob("package"), key=lambda path: path.stat().st_mtime)


def _flip_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


CASES = (
    Case("too few rows", ("validate_snapshot: row count",), _training({"training": {"window_days": 5}})),
    Case("worse model", (f"{GATES}: champion_improvement",), _training({"training": {"parameters": {"scale_pos_weight": 0.1}}})),
    Case("equal model", (f"{GATES}: champion_improvement",), _equal_model),
    Case(
        "over-confident model",
        (f"{GATES}: calibration",),
        _training({"training": {"parameters": {"max_depth": 14, "eta": 1.0, "min_child_weight": 0, "lambda": 0}, "search_space": None}}),
    ),
    Case("missing champion artefact", (f"{GATES}: champion_improvement",), _missing_champion),
    Case(
        "missing segment",
        (f"{GATES}: champion_slices",),
        _training({"slices": [{"column": "origin"}, {"column": "tailnum", "minimum_rows": 300}]}),
    ),
    Case("tampered artefact", (f"{GATES}: evaluated_object",), _tampered),
)
