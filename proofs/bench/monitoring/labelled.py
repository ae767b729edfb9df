"""Windows with labels and a model's scores: five inputs, a logistic relation with a product of two
inputs that the model lacks, and planted changes of inputs, relation, classes or labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from include.monitoring.checks.base import Attributed, Side
from include.monitoring.checks.effectiveness import blocks_of
from include.stats.metrics import roc_auc
from include.stats.two_samples import Sample

INPUTS = 5
RELATION = np.array([1.0, 0.7, -0.5, 0.3, 0.0])
INTERCEPT, PRODUCT = -1.0, 0.4


@dataclass(frozen=True)
class World:
    """How rows come about. `shift` moves the inputs' means, `relation` are their weights, `keep`
    the chance of a row of each class to be there, `flipped` the share of wrong labels.
    """

    shift: np.ndarray = field(default_factory=lambda: np.zeros(INPUTS))
    scale: float = 1.0
    relation: np.ndarray = field(default_factory=lambda: RELATION)
    intercept: float = INTERCEPT
    keep: tuple[float, float] = (1.0, 1.0)
    flipped: float = 0.0


STEADY = World()


def draw(world: World, rows: int, random: np.random.Generator) -> Side:
    """So many labelled rows and what the model answers, which learned in the steady world."""
    inputs, labels = _rows(world, 3 * rows, random)
    staying = random.random(len(labels)) < np.where(labels == 1, world.keep[1], world.keep[0])
    inputs, labels = inputs[staying][:rows], labels[staying][:rows]
    wrong = random.random(len(labels)) < world.flipped
    labels = np.where(wrong, 1.0 - labels, labels)
    columns = {f"input_{place}": inputs[:, place] for place in range(INPUTS)}
    scores = _chance(INTERCEPT + inputs @ RELATION)
    return Side(Sample(columns, frozenset()), scores=scores, labels=labels)


def explained(side: Side) -> Attributed:
    """The contributions of the inputs to the model's log odds, which are those of a line."""
    columns = side.sample.columns
    values = np.column_stack([columns[f"input_{place}"] for place in range(INPUTS)]) * RELATION
    return Attributed(tuple(columns), values, blocks_of(side), "linear")


def steady_auc(random: np.random.Generator, rows: int) -> float:
    """The model's own in the steady world."""
    side = draw(STEADY, rows, random)
    return roc_auc(side.labels, side.scores)


def _rows(world: World, rows: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    inputs = random.normal(size=(rows, INPUTS)) * world.scale + world.shift
    logit = world.intercept + inputs @ world.relation + PRODUCT * inputs[:, 0] * inputs[:, 1]
    return inputs, (random.random(rows) < _chance(logit)).astype(np.float64)


def _chance(logit: np.ndarray) -> np.ndarray:
    return np.asarray(1.0 / (1.0 + np.exp(-logit)))


def _weights(first: float, second: float = 0.7) -> np.ndarray:
    return np.array([first, second, *RELATION[2:]])


def _moved(*amounts: float) -> np.ndarray:
    return np.array([*amounts, *np.zeros(INPUTS - len(amounts))])


CHANGES: Mapping[str, tuple[str, World]] = {
    "nothing": ("none", STEADY),
    "an input that matters": ("covariate", World(shift=_moved(0.5))),
    "an input that does not": ("covariate", World(shift=_moved(0.0, 0.0, 0.0, 0.0, 0.5))),
    "two inputs against each other": ("covariate", World(shift=_moved(-0.5, 0.5))),
    "the inputs' scale": ("covariate", World(scale=1.3)),
    "a weaker relation": ("concept", World(relation=_weights(0.3))),
    "a turned relation": ("concept", World(relation=_weights(-0.5))),
    "two inputs swapped": ("concept", World(relation=_weights(0.2, 1.5))),
    "a higher rate for the same inputs": ("concept", World(intercept=-0.5, relation=_weights(0.6))),
    "fewer positives": ("prior", World(keep=(1.0, 0.5))),
    "more positives": ("prior", World(keep=(0.5, 1.0))),
}
"""Planted changes by what they are: the kind that is right, and the world."""
