"""A trial training and a back-test of monitoring in a home of their own, thrown away behind them:
`python -m cli.authoring.trial FOLDER` runs them in a process whose environment is that home, for
Feast's definitions know where their tables lie.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from cli.platform.environment import common_environment, process_environment
from include.catalogue import load_use_case
from include.errors import RegistryError
from include.features.store import apply_definitions
from include.files import sqlite_url
from include.interval import Interval
from include.monitoring.backtest import Backtest, backtest, measurable
from include.monitoring.history import monitoring_proposals
from include.process_end import end_at_once
from include.processes import features
from include.processes.local import run_process
from include.processes.results import DataVerdict
from include.registry.client import connect
from include.settings import PROJECT_ROOT, Settings, load_settings
from include.spec import UseCase
from include.spec.times import ticks_around
from include.steps import RunInfo, StepContext
from include.training.estimator import declared_parameters

REQUEST, ANSWER, ERRORS = "trial.json", "answer.json", "errors.txt"
PROGRESS = "progress: "
"""How the child's lines begin that are for the caller; libraries print others."""
BEFORE = timedelta(days=60)
"""Rows before the training's window, for its features to look back on."""
LAST_CHARACTERS = 1500
UNSEEN = DataVerdict(
    accepted=True,
    reasons=(),
    failures=(),
    warnings=(),
    notes=(),
    references={},
    report="",
    data_docs="",
    quarantine={},
)
"""The verdict on rows that are tried whatever they are."""

Say = Callable[[str], None]


def try_training(
    use_case: UseCase, settings: Settings, history: Interval, trials: int, folder: Path, say: Say
) -> dict[str, Any]:
    """Train on the window that ends with the history, and measure monitoring over it, in a home
    below `folder`: what `train` answers. `say` hears how far it is.

    Raises `RegistryError` with the last lines of the process when it breaks.
    """
    home = folder / "home"
    home.mkdir(parents=True)
    scratch = settings.with_own_stores(home).model_copy(
        update={"mlflow_tracking_uri": sqlite_url(home / "mlflow.db")}
    )
    request = {"use_case": use_case.name, "history": history.as_json(), "trials": trials}
    (folder / REQUEST).write_text(json.dumps(request))
    with (
        (folder / ERRORS).open("wb") as errors,
        subprocess.Popen(
            [sys.executable, "-u", "-m", "cli.authoring.trial", str(folder)],
            env=process_environment(common_environment(scratch)),
            cwd=PROJECT_ROOT,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as child,
    ):
        for line in child.stdout or ():
            if line.startswith(PROGRESS):
                say(line.removeprefix(PROGRESS).rstrip())
    if child.returncode != 0:
        last = (folder / ERRORS).read_text(errors="replace").strip()[-LAST_CHARACTERS:]
        raise RegistryError(f"The trial training of {use_case.name} broke: {last}")
    answer: dict[str, Any] = json.loads((folder / ANSWER).read_text())
    return answer


def train(
    use_case: UseCase, settings: Settings, history: Interval, trials: int, say: Say
) -> dict[str, Any]:
    """Ingest the history as one interval, train on its newest window until the gates have judged,
    and back-test monitoring: `{"refused", "reasons", "metrics", "findings", "rows", "monitoring",
    "measured", "left_out"}`.

    `monitoring` are the proposed limits, from so many intervals `measured`; `left_out` says why
    others were not.
    """
    newest = ticks_around(use_case.schedule.features_cron, history.end - timedelta(seconds=1))[0]
    begun, whole = _from_before(use_case, history)
    say(f"  the tables and features of {whole.text}")
    ingest = StepContext(begun, settings, whole, RunInfo(process="features", run_id="trial"))
    features.publish_tables(ingest, features.ingest_source(ingest), UNSEEN)
    features.compute_features(ingest)
    apply_definitions(settings)
    params = {"trials": trials, "reason": "trial of flightdeck check"}
    info = RunInfo(process="training", run_id="trial", params=params)
    context = StepContext(begun, settings, Interval(newest, history.end), info)
    done = run_process(context, lambda step: say(f"  {step}"))
    results = done.results
    tested = _back_test(context, history, whole, results, say)
    return {
        "refused": list(done.refused),
        "reasons": [reason for reasons in done.refused.values() for reason in reasons],
        "metrics": dict(
            connect(settings).get_run(results["open_run"]["mlflow_run_id"]).data.metrics
        ),
        "findings": results.get("check_gates", {}).get("findings", []),
        "rows": results.get("split_data", {}).get("rows", {}),
        "monitoring": [vars(item) for item in monitoring_proposals(use_case, tested.measured)],
        "measured": len(tested.measured),
        "left_out": dict(tested.left_out),
    }


def _back_test(
    context: StepContext, history: Interval, whole: Interval, results: Mapping[str, Any], say: Say
) -> Backtest:
    """Measure with the parameters that the trial found, or with those that are declared."""
    use_case = context.use_case
    declared = {**use_case.training.parameters, **declared_parameters(use_case)}
    parameters = results.get("tune_model", {}).get("parameters", declared)
    intervals = [item for item in measurable(use_case, whole) if item.start >= history.start]
    if intervals:
        say(f"monitoring over {len(intervals)} intervals, a training before each")
    return backtest(context, intervals, parameters, lambda text: say(f"  {text}"))


def _from_before(use_case: UseCase, history: Interval) -> tuple[UseCase, Interval]:
    """The use case as if its data began with the history, or a little before the newest training
    window where that is earlier, and all of them as one interval.
    """
    schedule = use_case.schedule
    wanted = history.end - timedelta(days=use_case.training.window_days) - BEFORE
    first = min(wanted, history.start)
    start = max(schedule.start, ticks_around(schedule.features_cron, first)[0])
    begun = use_case.model_copy(update={"schedule": schedule.model_copy(update={"start": start})})
    return begun, Interval(start, history.end)


def main(folder: Path) -> None:
    """The child: the request in, the answer out."""
    request = json.loads((folder / REQUEST).read_text())
    history, trials = Interval.parse(**request["history"]), int(request["trials"])
    use_case = load_use_case(request["use_case"])
    answer = train(
        use_case, load_settings(), history, trials, lambda text: print(f"{PROGRESS}{text}")
    )
    (folder / ANSWER).write_text(json.dumps(answer))


if __name__ == "__main__":
    exits_with = end_at_once()
    main(Path(sys.argv[1]))
    exits_with(0)
