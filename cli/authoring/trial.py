"""A trial training in a home of its own, thrown away behind it: `python -m cli.authoring.trial
FOLDER` runs it in a process whose environment is that home, for Feast's definitions know where
their tables lie.
"""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from cli.platform.environment import common_environment, process_environment
from include.catalogue import load_use_case
from include.errors import RegistryError
from include.features.store import apply_definitions
from include.files import sqlite_url
from include.interval import Interval
from include.processes import features
from include.processes.local import run_process
from include.processes.results import DataVerdict
from include.registry.client import connect
from include.settings import PROJECT_ROOT, Settings, load_settings
from include.spec import UseCase
from include.spec.times import ticks_around
from include.steps import RunInfo, StepContext

REQUEST, ANSWER = "trial.json", "answer.json"
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


def try_training(
    use_case: UseCase, settings: Settings, until: Interval, trials: int, folder: Path
) -> dict[str, Any]:
    """Train on the window that ends with `until` in a home below `folder`: what `train` answers.

    Raises `RegistryError` with the last lines of the process when it breaks.
    """
    home = folder / "home"
    home.mkdir(parents=True)
    scratch = settings.model_copy(
        update={
            "home": home,
            "tables_uri": str(home / "tables"),
            "mlflow_tracking_uri": sqlite_url(home / "mlflow.db"),
        }
    )
    request = {"use_case": use_case.name, "until": until.as_json(), "trials": trials}
    (folder / REQUEST).write_text(json.dumps(request))
    done = subprocess.run(
        [sys.executable, "-m", "cli.authoring.trial", str(folder)],
        env=process_environment(common_environment(scratch)),
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RegistryError(
            f"The trial training of {use_case.name} broke: {done.stderr.strip()[-LAST_CHARACTERS:]}"
        )
    answer: dict[str, Any] = json.loads((folder / ANSWER).read_text())
    return answer


def train(use_case: UseCase, settings: Settings, until: Interval, trials: int) -> dict[str, Any]:
    """Ingest what the window and its features need as one interval, and train on it until the
    gates have judged: `{"refused", "reasons", "metrics", "findings", "rows"}`.
    """
    use_case, whole = _from_before(use_case, until)
    ingest = StepContext(use_case, settings, whole, RunInfo(process="features", run_id="trial"))
    landed = features.ingest_source(ingest)
    features.publish_tables(ingest, landed, UNSEEN)
    features.compute_features(ingest)
    apply_definitions(settings)
    params = {"trials": trials, "reason": "trial of flightdeck check"}
    info = RunInfo(process="training", run_id="trial", params=params)
    done = run_process(StepContext(use_case, settings, until, info), lambda _: None)
    results = done.results
    return {
        "refused": list(done.refused),
        "reasons": [reason for reasons in done.refused.values() for reason in reasons],
        "metrics": dict(
            connect(settings).get_run(results["open_run"]["mlflow_run_id"]).data.metrics
        ),
        "findings": results.get("check_gates", {}).get("findings", []),
        "rows": results.get("split_data", {}).get("rows", {}),
    }


def _from_before(use_case: UseCase, until: Interval) -> tuple[UseCase, Interval]:
    """The use case as if its data began a little before the training's window, and all of them as
    one interval.
    """
    schedule = use_case.schedule
    wanted = until.end - timedelta(days=use_case.training.window_days) - BEFORE
    start = max(schedule.start, ticks_around(schedule.features_cron, wanted)[0])
    begun = use_case.model_copy(update={"schedule": schedule.model_copy(update={"start": start})})
    return begun, Interval(start, until.end)


def main(folder: Path) -> None:
    """The child: the request in, the answer out."""
    request = json.loads((folder / REQUEST).read_text())
    until = Interval.parse(**request["until"])
    use_case = load_use_case(request["use_case"])
    answer = train(use_case, load_settings(), until, int(request["trials"]))
    (folder / ANSWER).write_text(json.dumps(answer))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
