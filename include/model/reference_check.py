"""The check that a package's reference.json belongs to its model, made before any comparison."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from include.errors import RegistryError
from include.features.transform import FeatureTransform
from include.model.package import ScoringModel

SHARES_TOLERANCE = 1e-6
SCORE = "score"
PREDICTED_CLASS = "predicted_class"


def checked_reference(model: ScoringModel) -> dict[str, Any]:
    """The model's reference.

    Raises `RegistryError` naming what is missing or does not fit: no reference is never "no drift".
    """
    problems = _reference_problems(model.reference, model.transform)
    if problems:
        raise RegistryError(
            f"reference.json of run {model.metadata.run_id} does not fit its model:"
            f" {'; '.join(problems)}. Drift cannot be measured against it; train and release a"
            " version with a complete package."
        )
    return model.reference


def _reference_problems(reference: Mapping[str, Any], transform: FeatureTransform) -> list[str]:
    rows = reference.get("rows")
    problems = (
        [] if isinstance(rows, int) and rows > 0 else [f"rows is {rows!r}, not a positive count"]
    )
    entries = reference.get("inputs") or {}
    missing = [name for name in transform.feature_names if name not in entries]
    foreign = sorted(set(entries) - set(transform.feature_names))
    problems += [f"inputs {missing} are missing"] if missing else []
    problems += [f"inputs {foreign} are not the model's"] if foreign else []
    for item in transform.inputs:
        if item.name in entries:
            model_categories = (
                list(transform.categories[item.name]) if item.kind == "category" else None
            )
            problems += entry_problems(item.name, entries[item.name], model_categories)
    return problems + entry_problems(SCORE, reference.get("score") or {}, None)


def entry_problems(name: str, entry: Mapping[str, Any], categories: list[str] | None) -> list[str]:
    """What does not fit of one entry; `categories` are the model's, `None` for a number."""
    shares = entry.get("shares") or []
    bins = len(entry.get("edges", [])) + 2 if categories is None else len(categories) + 1
    if categories is not None and list(entry.get("categories", [])) != categories:
        return [f"{name}: its categories are not those of the model"]
    if entry.get("kind", "number") != ("number" if categories is None else "category"):
        return [f"{name}: its kind is {entry.get('kind')!r}"]
    if len(shares) != bins:
        return [f"{name}: {len(shares)} shares for {bins} bins"]
    if min(shares) < 0.0 or abs(sum(shares) - 1.0) > SHARES_TOLERANCE:
        return [f"{name}: its shares sum to {sum(shares):.6f}, not 1"]
    return []
