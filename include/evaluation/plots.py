"""ROC curve, calibration, importance and attributions of one model, as PNG files."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from include.model.fitted import FittedBooster
from include.model.package import ScoringModel
from include.problems.base import ProblemStrategy
from include.problems.regression import decile_means
from include.spec import ProblemKind, UseCase
from include.stats.metrics import calibration_bins, roc_auc, roc_curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE = (6.0, 4.5)
SHOWN_INPUTS = 8
DARK = 0.6
"""From this share of the largest contribution on a field is too dark for black."""


Plot = Callable[["Axes"], None]


def write_plots(
    folder: Path,
    model: ScoringModel,
    labels: np.ndarray,
    scores: np.ndarray,
    attributions: Sequence[Mapping[str, Any]],
    rows: Sequence[Mapping[str, Any]],
    *,
    problem: ProblemStrategy[Any] | None = None,
) -> list[Path]:
    """Write the problem's plots (of a binary one roc.png and calibration.png), attributions.png,
    attribution_rows.png and XGBoost's importance.png.

    Labels and scores are those of the test split; `attributions` and `rows`, the attributions of a
    few of them, are those of `evaluate`. Without a `problem` it is binary.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    folder.mkdir(parents=True, exist_ok=True)
    if problem is None:
        plots = _rate_plots(labels, scores)
    else:
        plots = PLOTS[problem.use_case.problem.kind](labels, scores, problem.use_case)
    if isinstance(model.fitted, FittedBooster):
        plots["importance.png"] = lambda axes: _importance(axes, model)
    plots["attributions.png"] = lambda axes: _attributions(axes, attributions)
    plots["attribution_rows.png"] = lambda axes: _attribution_rows(axes, attributions, rows)
    return [_draw(folder / name, fill) for name, fill in plots.items()]


def importance(model: ScoringModel) -> dict[str, float]:
    """Share of the total loss reduction that each input brought, largest first; inputs never split
    on have 0. Empty without trees.
    """
    if not isinstance(model.fitted, FittedBooster):
        return {}
    names = model.transform.feature_names
    gains = model.booster.get_score(importance_type="total_gain")
    values = {name: float(gains.get(name, 0.0)) for name in names}
    total = sum(values.values()) or 1.0
    return dict(
        sorted(((name, value / total) for name, value in values.items()), key=lambda pair: -pair[1])
    )


def _draw(path: Path, fill: Callable[[Axes], None]) -> Path:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    # A Figure of its own, not pyplot's: nothing is kept in a global registry, so nothing has to be
    # closed.
    figure = Figure(figsize=SIZE, layout="constrained")
    with mpl.rc_context({"text.parse_math": False}), warnings.catch_warnings():
        # Classes and inputs are called as the data say: "$5" is no formula, and a sign that the
        # font lacks is a box.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        fill(figure.add_subplot())
        figure.savefig(path, dpi=110, metadata={"Software": None})
    return path


def roc_plot(labels: np.ndarray, scores: np.ndarray) -> Plot:
    """The ROC curve; labels are 0 and 1."""
    false_rate, true_rate = roc_curve(labels, scores)

    def fill(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], linestyle="--", color="grey", label="chance")
        axes.plot(false_rate, true_rate, label=f"model, AUC {roc_auc(labels, scores):.3f}")
        axes.set(title="ROC, test split", xlabel="false positive rate", ylabel="true positive rate")
        axes.legend(loc="lower right")

    return fill


def calibration_plot(labels: np.ndarray, scores: np.ndarray) -> Plot:
    """Mean probability against observed rate; labels are 0 and 1."""
    bins = calibration_bins(labels, scores)
    means, rates = [part["mean_score"] for part in bins], [part["observed_rate"] for part in bins]
    lines = {f"{len(bins)} bins of equal size": (means, rates)}
    return lambda axes: _diagonal(
        axes, lines, ("mean score", "observed rate"), (0.0, max(*means, *rates, 0.05))
    )


def deciles_plot(parts: Sequence[Mapping[str, float]]) -> Plot:
    """Mean score against mean label of groups of rows."""
    means, observed = [part["mean_score"] for part in parts], [part["mean_label"] for part in parts]
    ends = (min(*means, *observed), max(*means, *observed))
    return lambda axes: _diagonal(
        axes,
        {f"{len(parts)} groups of equal size": (means, observed)},
        ("mean score", "mean label"),
        ends,
    )


def errors_plot(errors: np.ndarray) -> Plot:
    """The distribution of score less label, between its 1 % and 99 % quantiles."""
    low, high = np.quantile(errors, [0.01, 0.99])

    def fill(axes: Axes) -> None:
        axes.hist(np.clip(errors, low, high), bins=40)
        axes.axvline(
            float(errors.mean()), linestyle="--", color="grey", label=f"mean {errors.mean():.3g}"
        )
        axes.set(title="Errors, test split", xlabel="score less label", ylabel="rows")
        axes.legend(loc="upper right")

    return fill


def confusion_plot(labels: np.ndarray, predicted: np.ndarray, classes: Sequence[str]) -> Plot:
    """Share of each class's rows by predicted class; both arrays hold class numbers."""
    counts = np.zeros((len(classes), len(classes)))
    np.add.at(counts, (labels, predicted), 1.0)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)

    def fill(axes: Axes) -> None:
        axes.imshow(shares, vmin=0.0, vmax=1.0, cmap="Blues")
        for (row, column), share in np.ndenumerate(shares):
            axes.text(column, row, f"{share:.0%}", ha="center", va="center")
        axes.set_xticks(range(len(classes)), list(classes))
        axes.set_yticks(range(len(classes)), list(classes))
        axes.set(title="Confusion, test split", xlabel="predicted", ylabel="true")

    return fill


def _diagonal(
    axes: Axes,
    lines: Mapping[str, tuple[list[float], list[float]]],
    names: tuple[str, str],
    ends: tuple[float, float],
) -> None:
    axes.plot(ends, ends, linestyle="--", color="grey", label="perfect")
    for label, (means, observed) in lines.items():
        axes.plot(means, observed, marker="o", label=label)
    axes.set(title="Calibration, test split", xlabel=names[0], ylabel=names[1])
    axes.legend(loc="upper left")


def _importance(axes: Axes, model: ScoringModel) -> None:
    shares = importance(model)
    names = list(shares)[::-1]
    axes.barh(names, [shares[name] for name in names])
    axes.tick_params(axis="y", labelsize=7)
    axes.set(title="Importance", xlabel="share of total gain")


def _attributions(axes: Axes, attributions: Sequence[Mapping[str, Any]]) -> None:
    axes.barh(
        [row["input"] for row in attributions][::-1],
        [row["mean_absolute"] for row in attributions][::-1],
    )
    axes.tick_params(axis="y", labelsize=7)
    axes.set(
        title="Attributions, test split",
        xlabel="mean absolute contribution (TreeSHAP: log odds or the label's unit)",
    )


def _attribution_rows(
    axes: Axes, attributions: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]
) -> None:
    """A line for each row, a column for each of the inputs that matter most."""
    names = [str(record["input"]) for record in attributions[:SHOWN_INPUTS]]
    chosen = list(dict.fromkeys((record["why"], record["row"]) for record in rows))
    values = np.zeros((len(chosen), len(names)))
    lines = [""] * len(chosen)
    for record in rows:
        place = chosen.index((record["why"], record["row"]))
        lines[place] = f"{record['why']}: {record['answer']:.3g}\nlabel {record['label']}"
        if record["input"] in names:
            values[place, names.index(record["input"])] = record["contribution"]
    largest = float(np.abs(values).max()) or 1.0
    axes.imshow(values, vmin=-largest, vmax=largest, cmap="RdBu_r", aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        colour = "white" if abs(value) > DARK * largest else "black"
        axes.text(column, row, f"{value:+.2g}", ha="center", va="center", fontsize=7, color=colour)
    axes.set_xticks(range(len(names)), names, rotation=40, ha="right", fontsize=7)
    axes.set_yticks(range(len(chosen)), lines, fontsize=7)
    axes.set(title="What made single answers, test split")


def _rate_plots(
    labels: np.ndarray, scores: np.ndarray, _use_case: UseCase | None = None
) -> dict[str, Plot]:
    return {
        "roc.png": roc_plot(labels, scores),
        "calibration.png": calibration_plot(labels, scores),
    }


def _class_plots(labels: np.ndarray, scores: np.ndarray, use_case: UseCase) -> dict[str, Plot]:
    """The predicted class's probability is plotted against how often it is right."""
    predicted = scores.argmax(axis=1)
    right = (predicted == labels).astype(np.int64)
    return {
        "confusion.png": confusion_plot(labels, predicted, use_case.problem.class_names),
        "calibration.png": calibration_plot(right, np.clip(scores.max(axis=1), 0.0, 1.0)),
    }


def _value_plots(labels: np.ndarray, scores: np.ndarray, _use_case: UseCase) -> dict[str, Plot]:
    return {
        "calibration.png": deciles_plot(decile_means(labels, scores)),
        "errors.png": errors_plot(scores - labels),
    }


PLOTS: dict[ProblemKind, Callable[[np.ndarray, np.ndarray, UseCase], dict[str, Plot]]] = {
    "binary": _rate_plots,
    "multiclass": _class_plots,
    "regression": _value_plots,
}
"""The plots of a problem's test split by file name."""
