"""What is true of the built images, seen in the images themselves."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cli.images.build import IMAGES, PREFIX, Builder, version
from include.interval import Interval
from include.settings import load_settings
from include.step_documents import DONE, WRONG, step_document
from include.steps import RunInfo, StepContext
from include.use_cases.flight_delays.spec import USE_CASE
from proofs.containers.engine import Engine
from proofs.faults.line import Line
from proofs.harness.ports import HOST, free_port

FORBIDDEN = (
    r"\.git$|\.env$|/secrets?/|passwords.json|signing.pem$|/opt/flightdeck/(var|tests|proofs)"
)
SMALLEST = "mlflow"
MOST_MEGABYTES = {"mlflow": 1300, "serving": 2000, "step": 2600, "airflow": 2900}
DAYS = ("2013-02-08T00:00+00:00", "2013-02-15T00:00+00:00")
STEP = "features:ingest_source"


def built(engine: Engine, folder: Path, base: str | None, say: Callable[[str], None]) -> list[Line]:
    """Build every image by the command's own code; a line for each."""
    builder = Builder(engine.client, folder, base, engine.variables)
    lines = []
    for name in IMAGES:
        say(f"building {name}")
        image = builder.build(name, None)
        size = round(image.bytes / 1e6)
        expected = (
            f"at most {MOST_MEGABYTES[name]} MB, user 10001, a health check, no secret, listed"
        )
        seen = [
            f"at most {MOST_MEGABYTES[name]} MB" if size <= MOST_MEGABYTES[name] else f"{size} MB",
            *_configured(engine, image.id),
            _no_secret(engine, image.id),
            _listed(engine, image.id, folder / image.bill_of_materials),
        ]
        detail = f"{size} MB, {image.id[:19]}, commit {image.revision}"
        lines.append(Line(f"image {name}", expected, ", ".join(seen), detail))
    return lines


def pushed(engine: Engine, folder: Path, base: str | None, registry: str) -> Line:
    """Push the smallest image to a registry of the loopback, and pull it by its digest."""
    port = free_port()
    container = engine.run("run", "--detach", "--publish", f"{HOST}:{port}:5000", registry)
    try:
        builder = Builder(engine.client, folder, base, engine.variables)
        image = builder.build(SMALLEST, f"{HOST}:{port}/{PREFIX}")
        engine.run("image", "rm", image.reference, check=False)
        pulled = engine.run("pull", "--quiet", image.reference, check=False)
        about = json.loads(engine.run("image", "inspect", image.reference).stdout)[0]
    finally:
        engine.run("rm", "--force", container.stdout.strip(), check=False)
    name = re.sub(r":\d+/", "/", image.reference.partition("@")[0])
    is_by_digest = bool(re.search(r"@sha256:[0-9a-f]{64}$", image.reference))
    same = pulled.returncode == 0 and about["Id"] == image.id
    return Line(
        "push to a registry, pull by digest",
        "named by digest: True, the same image came back: True",
        f"named by digest: {is_by_digest}, the same image came back: {same}",
        f"{name}@{image.reference.partition('@')[2][:19]}",
    )


def _configured(engine: Engine, image: str) -> list[str]:
    about: dict[str, Any] = json.loads(engine.run("image", "inspect", image).stdout)[0]["Config"]
    user = about["User"].partition(":")[0]
    return [f"user {user}", "a health check" if about.get("Healthcheck") else "no health check"]


def _no_secret(engine: Engine, image: str) -> str:
    """No file of the kinds that nobody may find there, in no layer, and none in the history."""
    code = f"find / -xdev -type f 2>/dev/null | grep -E '{FORBIDDEN}' | grep -v site-packages"
    files = engine.run("run", "--rm", image, "sh", "-c", code, check=False).stdout.split()
    history = engine.run("history", "--no-trunc", "--format", "{{.CreatedBy}}", image).stdout
    named = [word for word in ("PASSWORD=", "SECRET", "TOKEN=") if word in history]
    return "no secret" if not files and not named else f"{files} {named}"


def _listed(engine: Engine, image: str, bill: Path) -> str:
    """Whether the bill of materials names exactly the packages that are in the image."""
    code = "import importlib.metadata as m; print(len({d.name.lower() for d in m.distributions()}))"
    count = int(engine.run("run", "--rm", image, "python", "-I", "-c", code).stdout)
    listed = len(json.loads(bill.read_text(encoding="utf-8"))["components"])
    return "listed" if listed == count else f"{listed} of {count} packages listed"


def step_in_a_container(engine: Engine) -> list[Line]:
    """The entry point as a container of the step image: typed JSON in and out."""
    run = RunInfo(process="features", run_id="container")
    interval = Interval.parse(*DAYS)
    document = json.dumps(step_document(StepContext(USE_CASE, load_settings(), interval, run), {}))
    image = f"{PREFIX}/step:{version()}"
    options = (
        *("run", "--rm", "--interactive", "--read-only", "--cap-drop", "ALL", "--network", "none"),
        *("--tmpfs", "/tmp"),  # noqa: S108  # the container's own
        *("--tmpfs", "/var/flightdeck:uid=10001,gid=10001,mode=0700"),
        *("--env", "FLIGHTDECK_ENV=test", "--env", "FLIGHTDECK_SAMPLE_SHARE=0.1", image),
    )
    command = ("python", "-m", "include.processes.run", STEP)
    done = engine.run(*options, *command, text=document, check=False)
    wrong = engine.run(*options, *command, text='{"context": {}}', check=False)
    tables = sorted(json.loads(done.stdout)["tables"]) if done.returncode == DONE else done.stderr
    expected = f"exit code {DONE} with raw/arrivals, raw/flights, raw/planes, raw/weather; {WRONG}"
    listed = ", ".join(tables) if isinstance(tables, list) else tables
    return [
        Line(
            "a step as a container, without a network; a wrong document",
            expected,
            f"exit code {done.returncode} with {listed}; {wrong.returncode}",
            f"{STEP} of {DAYS[0]} to {DAYS[1]}; {wrong.stderr.strip()[:120]}",
        )
    ]
