"""What a restored home is put to by a later version: `python -m tests.upgrade.later KEPT`, in a
copy of the project whose only use case is the home's own. KEPT is the folder of what the release
left.

The last line printed is what was there at each point, as JSON.
"""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

from cli.application import invoke
from include.catalogue import load_use_case
from include.home_version import version_of
from include.interval import Interval
from include.process_end import end_at_once
from include.processes.local import run_process
from include.registry.versions import champion
from include.release.ledger import Ledger
from include.settings import PROJECT_ROOT, Settings, load_settings
from include.steps import RunInfo, StepContext
from proofs.harness.endpoint import Endpoint
from tests.upgrade.home import answer, enter, records, until_version
from tests.upgrade.keep import ABOUT, BACKUP


def main(kept: Path) -> None:
    """Restore it, bring it forward, use it."""
    about = json.loads((kept / ABOUT).read_text())
    home = Path(PROJECT_ROOT, "var")
    left: dict[str, Any] = {"restore": command("restore", kept / BACKUP)}
    left["written_by"] = version_of(home)
    (key := kept / "key").write_text(about["key"])
    enter(home, API_KEY_FILE=key)
    left["migrate"] = command("migrate")
    settings = load_settings()
    left |= before(settings, about, kept)
    changes = {"FLIGHTDECK_API_KEYS_FILE": str(home / "keys" / "api_keys")}
    with Endpoint(settings, port=settings.serving_port, changes=changes) as endpoint:
        left |= used(settings, about, endpoint)
    left["verified"] = Ledger(settings).verify().number
    left["after"] = records(settings, about["use_case"])
    sys.stdout.write(f"\n{json.dumps(left, default=str)}\n")


def before(settings: Settings, about: dict[str, Any], kept: Path) -> dict[str, Any]:
    """What is there before anything new."""
    from airflow.utils.db import check_migrations

    check_migrations(0)
    name = about["use_case"]
    folder = kept / "exported"
    command("models", "export", f"{name}/{about['champion']}", "--to", folder)
    command("models", "verify", folder)
    return {
        "verify": command("releases", "verify"),
        "before": records(settings, name),
    }


def used(settings: Settings, about: dict[str, Any], endpoint: Endpoint) -> dict[str, Any]:
    """Questions of before, a new month, a new version in service, and back."""
    name = about["use_case"]
    endpoint.client.headers["X-API-Key"] = about["key"]
    until_version(endpoint, name, about["champion"])
    predict, nobody = f"/v1/models/{name}/predict", {"X-API-Key": "a guess"}
    stranger = endpoint.client.post(predict, json={"rows": about["rows"]}, headers=nobody)
    left: dict[str, Any] = {
        "stranger": stranger.status_code,
        "answer": answer(endpoint, name, about["rows"]),
    }
    month = Interval.parse(**about["next"])
    newest = Interval(month.end - timedelta(days=1), month.end)
    for process in ("features", "batch_scoring", "monitoring"):
        left[process] = here(settings, name, process, month)
    left["training"] = here(settings, name, "training", newest, trials=1, reason="a new month")
    left["deployment"] = here(settings, name, "deployment", newest, reason="a new month")
    left["new_answer"] = answer(endpoint, name, about["rows"])
    left["rollback"] = command("rollback", name, "--reason", "the old one was good")
    until_version(endpoint, name, about["champion"])
    left["answer_after"] = answer(endpoint, name, about["rows"])
    left["alias"] = champion(settings, load_use_case(name)).version
    return left


def here(
    settings: Settings, name: str, process: str, interval: Interval, **params: Any
) -> dict[str, Any]:
    """A process outside Airflow: what its steps left and refused."""
    run = RunInfo(process=process, run_id=f"later_{process}", triggered_by="test", params=params)
    context = StepContext(load_use_case(name), settings, interval, run)
    done = run_process(context, lambda _: None)
    return {"refused": dict(done.refused), **done.results}


def command(*arguments: object) -> str:
    """What a command prints; its error ends this process."""
    output = StringIO()
    with redirect_stdout(output):
        code = invoke([str(argument) for argument in arguments])
    if code != 0:
        sys.exit(f"{arguments}: {code}\n{output.getvalue()}")
    return output.getvalue()


if __name__ == "__main__":
    exits_with = end_at_once()
    main(Path(sys.argv[1]))
    exits_with(0)
