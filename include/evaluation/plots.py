"""ROC curve, calibration, importance and attributions of one model, as PNG files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from include.evaluation.metrics import calibration_bins, roc_auc, roc_curve
from include.registry.artifact import ScoringModel

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE = (6.0, 4.5)


def write_plots(
    folder: Path, model: ScoringModel, labels: np.ndarray, scores: np.ndarray, attributions: Sequence[Mapping[str, Any]]
) -> list[Path]:
    """Write roc.png, calibration.png, importance.png and attributions.png into `folder`.

    Labels and scores have shape (rows,); `attributions` are those of `evaluate`.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    folder.mkdir(parents=True, exist_ok=True)
    return [
        _draw(folder / "roc.png", lambda axes: _roc(axes, labels, scores)),
        _draw(folder / "calibration.png", lambda axes: _calibration(axes, labels, scores)),
        _draw(folder / "importance.png", lambda axes: _importance(axes, model)),
        _draw(folder / "attributions.png", lambda axes: _attributions(axes, attributions)),
    ]


def importance(model: ScoringModel) -> dict[str, float]:
    """Share of the total loss reduction that each input brought, largest first; inputs never split on have 0."""
    names = model.transform.feature_names
    gains = model.booster.get_score(importance_type="total_gain")
    values = {name: float(gains.get(name, 0.0)) for name in names}
    total = sum(values.values()) or 1.0
    return dict(sorted(((name, value / total) for name, value in values.items()), key=lambda pair: -pair[1]))


def _draw(path: Path, fill: Callable[[Axes], None]) -> Path:
    from matplotlib.figure import Figure

    # A Figure of its own, not pyplot's: nothing is kept in a global registry, so nothing has to be closed.
    figure = Figure(figsize=SIZE, layout="constrained")
    fill(figure.add_subplot())
    figure.savefig(path, dpi=110, metadata={"Software": None})
    return path


def _roc(axes: Axes, labels: np.ndarray, scores: np.ndarray) -> None:
    false_rate, true_rate = roc_curve(labels, scores)
    axes.plot([0, 1], [0, 1], linestyle="--", color="grey", label="chance")
    axes.plot(false_rate, true_rate, label=f"model, AUC {roc_auc(labels, scores):.3f}")
    axes.set(title="ROC, test split", xlabel="false positive rate", ylabel="true positive rate")
    axes.legend(loc="lower right")


def _calibration(axes: Axes, labels: np.ndarray, scores: np.ndarray) -> None:
    bins = calibration_bins(labels, scores)
    means, rates = [part["mean_score"] for part in bins], [part["observed_rate"] for part in bins]
    limit = max(*means, *rates, 0.05)
    axes.plot([0, limit], [0, limit], linestyle="--", color="grey", label="perfect")
    axes.plot(means, rates, marker="o", label=f"{len(bins)} bins of equal size")
    axes.set(title="Calibration, test split", xlabel="mean score", ylabel="observed rate")
    axes.legend(loc="upper left")


def _importance(axes: Axes, model: ScoringModel) -> None:
    shares = importance(model)
    names = list(shares)[::-1]
    axes.barh(names, [shares[name] for name in names])
    axes.tick_params(axis="y", labelsize=7)
    axes.set(title="Importance", xlabel="share of total gain")


def _attributions(axes: Axes, attributions: Sequence[Mapping[str, Any]]) -> None:
    axes.barh([row["input"] for row in attributions][::-1], [row["mean_absolute"] for row in attributions][::-1])
    axes.tick_params(axis="y", labelsize=7)
    axes.set(title="Attributions (TreeSHAP), test split", xlabel="mean absolute contribution, log odds")
