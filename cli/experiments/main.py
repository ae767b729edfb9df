"""The command `experiments`, which reads MLflow, the ledger of trainings and the annotations, and
writes annotations only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cli.experiments import arguments
from cli.experiments.tables import (
    print_comparison,
    print_experiments,
    print_training,
    print_trainings,
)
from cli.lazy import new_application
from cli.records.answers import AsJson, Author, Remark, Replaces, TrainingName, print_answer
from cli.records.tracking import command_settings
from include.catalogue import load_use_case
from include.experiments.compare import compare
from include.experiments.criteria import metric, search
from include.experiments.page import write_page
from include.experiments.paired import compare_on_golden
from include.experiments.runs import Training, find_training, trainings
from include.experiments.shown import best
from include.governance.annotations import annotate, history
from include.registry.client import connect
from include.registry.run_files import read_json
from include.tables.store import TableStore
from include.training.architecture import ARCHITECTURE_FILE
from include.training.lineage import LINEAGE_FILE

application = new_application(
    no_args_is_help=True,
    epilog="Examples: experiments search --metric 'auc>0.7' --decision accepted --since 2013-06-01;"
    " experiments search --param 'xgboost.max_depth=6' --trigger alarm --text snow;"
    " experiments compare flight_delays/1 flight_delays/2",
)


@application.callback()
def _experiments() -> None:
    """List, search, show, compare, draw and annotate what has been trained."""


@application.command("list")
def list_experiments(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Print one line per use case."""
    by_name: dict[str, list[Training]] = {}
    for training in trainings(command_settings(context)):
        by_name.setdefault(training.use_case, []).append(training)
    rows = [_experiment(name, group) for name, group in sorted(by_name.items())]
    print_answer(rows, print_experiments, as_json=as_json)


def _experiment(name: str, group: list[Training]) -> dict[str, Any]:
    decisions = [training.decision for training in group]
    versions = [training for training in group if training.version is not None]
    leading = best(training.metrics for training in versions)
    return {
        "use_case": name,
        "trainings": len(group),
        **{decision: decisions.count(decision) for decision in ("accepted", "refused", "failed")},
        "newest_interval_end": group[0].interval_end,
        "newest_version": max((training.version or 0 for training in versions), default=None),
        "best_metric": leading[0] if leading else None,
        "best_value": leading[1] if leading else None,
    }


@application.command("search")
def search_experiments(
    context: typer.Context,
    *,
    use_case: arguments.UseCases = None,
    decision: arguments.Decision = None,
    trigger: arguments.Trigger = None,
    since: arguments.Since = None,
    until: arguments.Until = None,
    metrics: arguments.Metrics = None,
    parameters: arguments.Parameters = None,
    tags: arguments.Tags = None,
    snapshot: arguments.Snapshot = None,
    commit: arguments.Commit = None,
    text: arguments.Text = None,
    sort: Annotated[
        str | None,
        typer.Option(metavar="METRIC", help="Largest first; newest data first without it."),
    ] = None,
    limit: arguments.Limit = 50,
    as_json: AsJson = False,
) -> None:
    """Print the trainings that fulfil every condition."""
    settings = command_settings(context)
    conditions = arguments.criteria(
        use_cases=use_case,
        decision=decision,
        trigger=trigger,
        since=since,
        until=until,
        metrics=metrics,
        parameters=parameters,
        tags=tags,
        snapshot=snapshot,
        commit=commit,
        text=text,
    )
    matching = search(trainings(settings, conditions.use_cases), conditions)
    if sort:
        matching = sorted(
            matching, key=lambda training: _or_least(metric(training, sort)), reverse=True
        )
    rows = [training.as_json() for training in matching[:limit]]
    print_answer(rows, print_trainings, as_json=as_json)


def _or_least(value: float | None) -> float:
    return float("-inf") if value is None else value


@application.command("show")
def show_experiment(
    context: typer.Context, training: TrainingName, *, as_json: AsJson = False
) -> None:
    """Print everything about one training."""
    settings = command_settings(context)
    run, client = find_training(settings, training), connect(settings)
    remarks = history(TableStore(settings.tables_uri), "run", run.mlflow_run_id)
    answer = {
        **run.as_json(),
        "architecture": read_json(client, run.mlflow_run_id, ARCHITECTURE_FILE),
        "lineage": read_json(client, run.mlflow_run_id, LINEAGE_FILE),
        "gates": read_json(client, run.mlflow_run_id, "gates.json"),
        "annotation_history": [remark.as_json() for remark in remarks],
    }
    print_answer(answer, print_training, as_json=as_json)


@application.command("compare")
def compare_experiments(
    context: typer.Context,
    names: Annotated[
        list[str], typer.Argument(metavar="TRAINING...", help="Two or more, as for `show`.")
    ],
    *,
    no_golden: Annotated[
        bool, typer.Option("--no-golden", help="Do not score the golden set again.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print how trainings differ from the first of them."""
    settings = command_settings(context)
    chosen, client = [find_training(settings, name) for name in names], connect(settings)
    answer = compare(client, chosen)
    answer["golden"] = None if no_golden else compare_on_golden(client, settings, chosen)
    print_answer(answer, print_comparison, as_json=as_json)


@application.command("page")
def experiments_page(
    context: typer.Context,
    use_case: Annotated[str, typer.Argument(metavar="NAME", help="Such as flight_delays.")],
    *,
    to: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where; below the reports of the home by default."),
    ] = None,
) -> None:
    """Write a page of all trainings beside each other: metrics, costs, parameters, releases.

    One file of HTML that needs no network.
    """
    settings = command_settings(context)
    path = write_page(settings, load_use_case(use_case), to)
    print(f"{path}")
    address = settings.report_address(str(path))
    if address is not None:
        print(f"While the platform runs: {address}")


@application.command("annotate")
def annotate_experiment(
    context: typer.Context,
    training: TrainingName,
    text: Remark,
    *,
    who: Author,
    replaces: Replaces = None,
    as_json: AsJson = False,
) -> None:
    """Write a remark beside a training; remarks are never removed."""
    settings = command_settings(context)
    run = find_training(settings, training)
    tables = TableStore(settings.tables_uri)
    remark = annotate(tables, "run", run.mlflow_run_id, text, author=who, replaces=replaces)

    def show(answer: dict[str, Any]) -> None:
        print(f"{answer['annotation_id']}  {run.name}: {answer['text']} ({answer['author']})")

    print_answer(remark.as_json(), show, as_json=as_json)
