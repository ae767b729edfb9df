"""model.skops: scikit-learn estimators without a pickle, in a form that the same fit always gives,
loaded from an allow-list of types.

A skops file is a zip of schema.json, which names every type, and arrays in NumPy's format. skops
trusts scikit-learn's own estimators; what else a kind of estimator is made of stands in `ALLOWED`,
by the estimator's path. The types are read from schema.json before anything is constructed, and one
that is not on the list refuses the file by name.
"""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from collections.abc import Sequence
from typing import Any

from include.errors import RegistryError
from include.model.lean_xgboost import complete

PREPARATION = ("numpy.dtype",)
_TREE = ("sklearn.tree._tree.Tree",)
_HISTOGRAM = ("sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",)
_NETWORK = (
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
)
_NEIGHBOURS = (
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neighbors._ball_tree.BallTree",
)

ALLOWED: dict[str, tuple[str, ...]] = {
    **{
        f"sklearn.{path}{kind}": _TREE
        for path in (
            "tree.DecisionTree",
            "tree.ExtraTree",
            "ensemble.RandomForest",
            "ensemble.ExtraTrees",
            "ensemble.GradientBoosting",
        )
        for kind in ("Classifier", "Regressor")
    },
    **{
        f"sklearn.ensemble.HistGradientBoosting{kind}": _HISTOGRAM
        for kind in ("Classifier", "Regressor")
    },
    **{f"sklearn.neural_network.MLP{kind}": _NETWORK for kind in ("Classifier", "Regressor")},
    **{f"sklearn.neighbors.KNeighbors{kind}": _NEIGHBOURS for kind in ("Classifier", "Regressor")},
}
"""Types beyond skops' own list (scikit-learn's estimators, arrays, plain values) by declared
estimator.
"""

FIRST_DATE = (1980, 1, 1, 0, 0, 0)
SCHEMA = "schema.json"


def allowed_types(estimator: str, declared: Sequence[str]) -> tuple[str, ...]:
    """What a model of the declared `estimator` (its path, or `model:<factory>`) may hold beyond
    skops' own list.
    """
    return tuple(dict.fromkeys([*PREPARATION, *ALLOWED.get(estimator, ()), *declared]))


def dump(estimator: Any) -> bytes:
    """skops' file with object numbers counted in order and fixed dates, so that the same fitted
    estimator gives the same bytes.
    """
    with warnings.catch_warnings():
        # The library looks for an object's home among the attributes of every loaded module,
        # deprecated ones of others included.
        warnings.simplefilter("ignore")
        return _canonical(bytes(_library().dumps(estimator)))


def refused_types(content: bytes, allowed: Sequence[str]) -> list[str]:
    """Full names of the types in the file that are not allowed; nothing is constructed.

    Raises `RegistryError` for another format.
    """
    try:
        types = _library().get_untrusted_types(data=content)
    except (
        Exception
    ) as error:  # the library raises whatever its parsers raise on a file that is no skops file
        raise RegistryError(
            f"model.skops cannot be read as a skops file: {type(error).__name__}: {error}"
        ) from error
    return sorted(set(types) - set(allowed))


def load(content: bytes, allowed: Sequence[str]) -> Any:
    """The estimator.

    Raises `RegistryError` that names the types which are not allowed, before anything is
    constructed.
    """
    refused = refused_types(content, allowed)
    if refused:
        raise RegistryError(
            f"model.skops holds types that are not allowed: {refused}. Allowed beyond"
            f" scikit-learn's estimators: {list(allowed)}. Nothing was loaded. If the estimator"
            " really needs them, declare them in training.estimator.trusted_types and train anew."
        )
    if any(name.startswith("xgboost.") for name in allowed):
        complete()
    try:
        return _library().loads(content, trusted=list(allowed))
    except (
        Exception
    ) as error:  # the same; what it constructs is on the list, but the values may not fit
        raise RegistryError(
            f"model.skops cannot be loaded: {type(error).__name__}: {error}"
        ) from error


def _library() -> Any:
    """`skops.io`; its import touches the attributes of every loaded module too."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import skops.io

    return skops.io


def _canonical(content: bytes) -> bytes:
    """The same archive with `__id__` and the arrays' file names numbered by first appearance and
    one date for all files.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    numbers: dict[str, int] = {}
    schema = _renumbered(json.loads(files.pop(SCHEMA)), numbers)
    renamed = {_file_name(name, numbers): body for name, body in files.items()}
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(renamed):
            archive.writestr(zipfile.ZipInfo(name, FIRST_DATE), renamed[name])
        archive.writestr(zipfile.ZipInfo(SCHEMA, FIRST_DATE), json.dumps(schema, indent=1))
    return target.getvalue()


def _renumbered(value: Any, numbers: dict[str, int]) -> Any:
    if isinstance(value, list):
        return [_renumbered(item, numbers) for item in value]
    if not isinstance(value, dict):
        return value
    changed: dict[str, Any] = {}
    for name, item in value.items():
        if name == "__id__":
            changed[name] = numbers.setdefault(str(item), len(numbers))
        elif name == "file" and isinstance(item, str):
            changed[name] = _file_name(item, numbers)
        else:
            changed[name] = _renumbered(item, numbers)
    return changed


def _file_name(name: str, numbers: dict[str, int]) -> str:
    stem, dot, suffix = name.partition(".")
    return f"{numbers.setdefault(stem, len(numbers))}{dot}{suffix}"
