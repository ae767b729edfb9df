"""The command: reads MLflow, the ledger of trainings and the annotations; writes annotations only."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable, Sequence
from typing import Any

from cli.experiments.arguments import criteria, parser
from cli.experiments.tables import (
    print_comparison,
    print_experiments,
    print_training,
    print_trainings,
)
from cli.platform.state import running_settings
from cli.records.reproduce import tracking_settings
from include.experiments.compare import compare
from include.experiments.criteria import metric, search
from include.experiments.paired import compare_on_golden
from include.experiments.runs import Training, find_training, trainings
from include.governance.annotations import annotate, history
from include.registry.client import connect
from include.registry.run_files import read_json
from include.settings import Settings
from include.tables.store import TableStore
from include.training.architecture import ARCHITECTURE_FILE
from include.training.lineage import LINEAGE_FILE


def main(arguments: Sequence[str], settings: Settings | None = None) -> int:
    """0; what cannot be found or understood is an error that says what there is."""
    given = parser().parse_args(arguments)
    settings = tracking_settings(running_settings()) if settings is None else settings
    answer, show = COMMANDS[given.command](settings, given)
    if given.json:
        print(json.dumps(answer, indent=1, default=str))
    else:
        show(answer)
    return 0


Answer = tuple[Any, Callable[[Any], None]]


def _list(settings: Settings, _: Namespace) -> Answer:
    by_name: dict[str, list[Training]] = {}
    for one in trainings(settings):
        by_name.setdefault(one.use_case, []).append(one)
    return [_experiment(name, found) for name, found in sorted(by_name.items())], print_experiments


def _experiment(name: str, found: list[Training]) -> dict[str, Any]:
    decisions = [one.decision for one in found]
    versions = [one for one in found if one.version is not None]
    return {
        "use_case": name,
        "trainings": len(found),
        **{decision: decisions.count(decision) for decision in ("accepted", "refused", "failed")},
        "newest_interval_end": found[0].interval_end,
        "newest_version": max((one.version or 0 for one in versions), default=None),
        "best_auc": max(
            (value for one in versions if (value := metric(one, "auc")) is not None), default=None
        ),
    }


def _search(settings: Settings, given: Namespace) -> Answer:
    wanted = criteria(given)
    found = search(trainings(settings, wanted.use_cases), wanted)
    if given.sort:
        found = sorted(found, key=lambda one: _or_least(metric(one, given.sort)), reverse=True)
    return [one.as_json() for one in found[: given.limit]], print_trainings


def _or_least(value: float | None) -> float:
    return float("-inf") if value is None else value


def _show(settings: Settings, given: Namespace) -> Answer:
    one, client = find_training(settings, given.training), connect(settings)
    remarks = history(TableStore(settings.tables_uri), "run", one.mlflow_run_id)
    answer = {
        **one.as_json(),
        "architecture": read_json(client, one.mlflow_run_id, ARCHITECTURE_FILE),
        "lineage": read_json(client, one.mlflow_run_id, LINEAGE_FILE),
        "gates": read_json(client, one.mlflow_run_id, "gates.json"),
        "annotation_history": [remark.as_json() for remark in remarks],
    }
    return answer, print_training


def _compare(settings: Settings, given: Namespace) -> Answer:
    chosen, client = [find_training(settings, name) for name in given.trainings], connect(settings)
    answer = compare(client, chosen)
    answer["golden"] = None if given.no_golden else compare_on_golden(client, settings, chosen)
    return answer, print_comparison


def _annotate(settings: Settings, given: Namespace) -> Answer:
    one = find_training(settings, given.training)
    tables = TableStore(settings.tables_uri)
    remark = annotate(
        tables, "run", one.mlflow_run_id, given.text, author=given.who, replaces=given.replaces
    )
    return remark.as_json(), lambda told: print(
        f"{told['annotation_id']}  {one.name}: {told['text']} ({told['author']})"
    )


COMMANDS: dict[str, Callable[[Settings, Namespace], Answer]] = {
    "list": _list,
    "search": _search,
    "show": _show,
    "compare": _compare,
    "annotate": _annotate,
}
