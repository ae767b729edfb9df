"""What the commands print for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

FILE_CHARACTERS = 170
VALUE_CHARACTERS = 44


def console() -> Console:
    """A terminal's own width; a file gets lines wide enough to read."""
    there = Console(highlight=False)
    return there if there.is_terminal else Console(width=FILE_CHARACTERS, highlight=False)


def print_table(
    title: str, headings: Sequence[str], rows: Iterable[Sequence[Any]], *, nothing: str = "nothing"
) -> None:
    """A table; where there is no row, its title and `nothing`."""
    table, printed = Table(*headings, title=title, title_justify="left"), 0
    for row in rows:
        table.add_row(*(cell(value) for value in row))
        printed += 1
    console().print(table if printed else f"{title}: {nothing}")


def cell(value: Any) -> str:
    """A value in a few characters; a dash for none."""
    if value is None or value == "":
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "-"
    text = str(value)
    return text if len(text) <= VALUE_CHARACTERS else f"{text[: VALUE_CHARACTERS - 3]}..."


def print_experiments(rows: Sequence[Mapping[str, Any]]) -> None:
    """One line per use case."""
    names = (
        "use_case",
        "trainings",
        "accepted",
        "refused",
        "failed",
        "newest_interval_end",
        "newest_version",
        "best_auc",
    )
    print_table(
        "Experiments",
        [name.replace("_", " ") for name in names],
        ([row[name] for name in names] for row in rows),
    )


def print_trainings(rows: Sequence[Mapping[str, Any]]) -> None:
    """One line per training."""
    headings = (
        "training",
        "decision",
        "run",
        "trigger",
        "data until",
        "auc",
        "brier",
        "golden auc",
        "snapshot",
        "commit",
        "remarks",
    )
    told = (
        (
            _name(row),
            row["decision"],
            row["mlflow_run_id"][:12],
            "+".join(row["kinds"]),
            row["interval_end"][:10],
            *(row["metrics"].get(name) for name in ("test.auc", "test.brier", "golden.auc")),
            row["snapshot_digest"][:12],
            row["commit"][:10],
            len(row["annotations"]) or None,
        )
        for row in rows
    )
    print_table("Trainings", headings, told, nothing="none that fulfils every condition")


def print_training(one: Mapping[str, Any]) -> None:
    """Everything about one training, the longest parts as counts."""
    lineage = one["lineage"] or {}
    facts = {
        "decision": one["decision"],
        "reasons": "; ".join(one["reasons"]) or None,
        "MLflow run": one["mlflow_run_id"],
        "DAG run": one["run_id"],
        "data": f"{one['interval_start']} to {one['interval_end']}",
        "started by": f"{'+'.join(one['kinds'])} ({one['by']})",
        "model": one["tags"].get("flightdeck.architecture"),
        "data set": f"{one['snapshot']} {one['snapshot_digest'][:16]}",
        "code": one["commit"],
        "package": one["tags"].get("flightdeck.digest"),
        "artefacts": ", ".join(entry["path"] for entry in lineage.get("artefacts", [])) or None,
    }
    there = console()
    there.print(_name(one), style="bold")
    for name, value in facts.items():
        there.print(f"  {name:<12}{'-' if value is None else value}", soft_wrap=True)
    metrics = {
        name: value
        for name, value in sorted(one["metrics"].items())
        if name.count(".") == 1 and name.split(".")[0] in ("test", "golden")
    }
    print_table(
        "Metrics",
        ("metric", "value", "95 % from", "to"),
        ([name, value, *_bounds(one["metrics"], name)] for name, value in metrics.items()),
    )
    print_table("Parameters", ("parameter", "value"), sorted(one["parameters"].items()))
    gates = {
        name.removeprefix("gate."): value
        for name, value in sorted(one["tags"].items())
        if name.startswith("gate.")
    }
    print_table("Gates", ("gate", "verdict"), gates.items())
    print_remarks(one["annotation_history"])


def print_remarks(remarks: Sequence[Mapping[str, Any]]) -> None:
    """Every remark with what became of it."""
    replaced = {remark["replaces"] for remark in remarks}
    print_table(
        "Annotations",
        ("id", "written", "who", "text", "replaced"),
        (
            (
                remark["annotation_id"],
                remark["written_at"][:19],
                remark["author"],
                remark["text"],
                "yes" if remark["annotation_id"] in replaced else None,
            )
            for remark in remarks
        ),
        nothing="none",
    )


def print_comparison(answer: Mapping[str, Any]) -> None:
    """All that differs; the differences are to the first training."""
    names = [_name(one) for one in answer["trainings"]]
    facts = ("decision", "interval_end", "by", "reasons")
    print_table(
        "Trainings",
        ("", *names),
        ([fact, *(one[fact] for one in answer["trainings"])] for fact in facts),
    )
    _print_golden(answer["golden"])
    print_table(
        "Metrics, each on its own rows",
        ("metric", *names),
        ([row["name"], *map(_metric, row["values"])] for row in answer["metrics"]),
    )
    print_table(
        "Slices that differ most (test)",
        ("slice", "metric", *names),
        ([r["slice"], r["metric"], *r["values"]] for r in answer["slices"]),
    )
    print_table(
        "Gates", ("gate", *names), ([row["gate"], *row["verdicts"]] for row in answer["gates"])
    )
    for title in ("parameters", "architecture", "data", "code"):
        print_table(
            title.capitalize(),
            (title, *names),
            ([row["name"], *row["values"]] for row in answer[title]),
            nothing="the same in all",
        )


def _print_golden(golden: Mapping[str, Any] | None) -> None:
    if golden is None:
        return
    if "problem" in golden:
        console().print(f"Golden set: not compared: {golden['problem']}", soft_wrap=True)
        return
    title = (
        f"Golden set {golden['table']}, scored now: {golden['rows']} rows of {golden['days']} days"
    )
    metrics = ("auc", "brier", "logloss")
    print_table(
        title,
        ("model", *metrics),
        ([one["name"], *(_paired(one, metric) for metric in metrics)] for one in golden["models"]),
    )


def _paired(one: Mapping[str, Any], metric: str) -> str:
    value = f"{one[metric]:.4f}"
    if one["differences"] is None:
        return value
    found = one["differences"][metric]
    return f"{value} ({found['mean']:+.4f}, {found['low']:+.4f} to {found['high']:+.4f})"


def _metric(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "-"
    interval = "" if found["low"] is None else f" [{found['low']:.4g}, {found['high']:.4g}]"
    difference = "" if found["difference"] is None else f" ({found['difference']:+.4g})"
    return f"{found['value']:.4g}{interval}{difference}"


def _bounds(metrics: Mapping[str, float], name: str) -> tuple[float | None, float | None]:
    return metrics.get(f"{name}.low"), metrics.get(f"{name}.high")


def _name(one: Mapping[str, Any]) -> str:
    return (
        f"{one['use_case']}/{one['version']}"
        if one["version"] is not None
        else f"{one['use_case']} {one['mlflow_run_id'][:8]}"
    )
