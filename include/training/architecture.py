"""What a trained model is made of, as the artefact `model_architecture.json` of its run: for
reviewers, and to compare two runs.
"""

from __future__ import annotations

from typing import Any

from include.model.package import ScoringModel
from include.spec import UseCase, XGBoost

ARCHITECTURE_FILE = "model_architecture.json"


def describe_architecture(use_case: UseCase, model: ScoringModel) -> dict[str, Any]:
    """Plain JSON: the estimator, what was declared of it, what came out of the fit, its inputs, the
    libraries that made it.

    `fitted` counts what the fitted model holds (trees, nodes, leaves and depth, or a pipeline's
    steps and coefficients). `pre_trained` lists the digests of models or modules that the fit
    started from: it is empty, because every fit starts from nothing.
    """
    training, metadata = use_case.training, model.metadata
    rounds = isinstance(training.estimator, XGBoost)
    return {
        "estimator": metadata.estimator,
        "problem": metadata.problem,
        "classes": list(metadata.classes),
        "fitted": model.fitted.describe(),
        "declared": {
            "parameters": {
                name: value
                for name, value in sorted(metadata.parameters.items())
                if name != "nthread"
            },
            "boost_rounds": training.boost_rounds if rounds else None,
            "early_stopping_rounds": training.early_stopping_rounds if rounds else None,
            "seed": training.seed,
        },
        "best_round": metadata.best_iteration if rounds else None,
        "inputs": [
            {"name": item.name, "source": item.source, "kind": item.kind, "monotone": item.monotone}
            for item in use_case.inputs
        ],
        "categories": {name: len(values) for name, values in model.transform.categories.items()},
        "pre_trained": [],
        "libraries": dict(sorted(metadata.libraries.items())),
        "digest": model.digest,
    }


def architecture_line(architecture: dict[str, Any]) -> str:
    """One sentence for a list or a page:

    `xgboost, 181 trees of at most 6 levels (4,120 leaves), 20 inputs, none monotone`.
    """
    counts = flat_counts(architecture["fitted"])
    parts = [str(architecture["estimator"])]
    if "trees" in counts:
        parts.append(
            f"{counts['trees']:,} trees of at most {counts.get('max_depth', 0)} levels"
            f" ({counts.get('leaves', 0):,} leaves)"
        )
    if "coefficients" in counts:
        parts.append(f"{counts['coefficients']:,} coefficients")
    inputs = architecture["inputs"]
    monotone = [item["name"] for item in inputs if item["monotone"]]
    parts.append(
        f"{len(inputs)} inputs,"
        f" {'monotone: ' + ', '.join(monotone) if monotone else 'none monotone'}"
    )
    if architecture.get("best_round") is not None:
        declared = architecture["declared"]
        parts.append(
            f"stopped at round {architecture['best_round'] + 1} of {declared['boost_rounds']}"
        )
    parts.append(f"started from {', '.join(architecture['pre_trained']) or 'nothing pre-trained'}")
    return ", ".join(parts)


def flat_counts(fitted: dict[str, Any]) -> dict[str, int]:
    """The counts of a fitted model: of a pipeline's steps the sums, of depths the largest."""
    counts: dict[str, int] = {}
    for part in [fitted, *fitted.get("steps", [])]:
        for name, value in part.items():
            if isinstance(value, int) and not isinstance(value, bool):
                counts[name] = (
                    max(counts.get(name, 0), value)
                    if name == "max_depth"
                    else counts.get(name, 0) + value
                )
    return counts
