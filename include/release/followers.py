"""The processes that answer, and the plan that each of them follows.

    <serving_dir>/<use_case>/followers/<host>-<pid>.json

or in the shared store, where hosts share it (`include.release.shared.objects`).

Every process of every endpoint over a model store (workers, replicas on other ports, consumers of
events) reports itself there when its plan changes and every `REPORT_SECONDS`. So a release knows
that all of them serve a plan before it counts on it. A process of this machine that has ended is
recognised by its number and its start, one of another machine by its silence; their reports are
cleared by whoever reads.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from include.errors import LateStep, ReleaseError, ServingError, SignatureError
from include.files import write
from include.object_storage import ObjectStore
from include.release.plan import Plan, read_plan
from include.release.shared.objects import FOLLOWERS, objects_of, reaching
from include.settings import Settings

REPORT_SECONDS, SHARED_REPORT_SECONDS = 2.0, 10.0
"""How often a process reports itself though nothing has changed: to a folder, to a shared store."""
SILENT_SECONDS = 30.0
POLL_SECONDS, SHARED_POLL_SECONDS = 0.05, 0.5
START_FIELD = 19
"""Of /proc/<pid>/stat behind the command's name: when the process started, in clock ticks."""


class Process(BaseModel):
    """A process, so that another one under its number is not taken for it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str
    namespace: str = Field(description="In which its number counts; a container has its own.")
    pid: int
    started: str

    @property
    def name(self) -> str:
        """How it is called in files and errors."""
        return f"{self.host}-{self.pid}"


class Follower(BaseModel):
    """What a process says of itself.

    `sequence` and `plan` (the fingerprint) are of the plan in force, None and "" before the first;
    `versions` are the (version, digest) pairs of it, loaded, or tried and loaded when asked.
    `error` says why the plan with the fingerprint `refused` is not followed. `heartbeat` is seconds
    since 1970.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    process: Process
    use_case: str
    port: int
    sequence: int | None = None
    plan: str = ""
    versions: tuple[tuple[int, str], ...] = ()
    error: str | None = None
    refused: str = ""
    heartbeat: float

    def follows(self, plan: Plan) -> bool:
        """Say whether exactly this plan is in force, all its versions loaded."""
        return self.plan == plan.fingerprint

    def why_not(self, plan: Plan) -> str:
        """Say why it does not follow a plan."""
        if self.error and self.refused in (plan.fingerprint, ""):
            return self.error
        if self.sequence is None:
            return "it follows no plan yet"
        return f"it follows plan {self.sequence}"


def this_process() -> Process:
    """The process that asks."""
    pid = os.getpid()
    return Process(
        host=socket.gethostname(), namespace=_namespace(), pid=pid, started=_started(pid) or ""
    )


def followers_folder(settings: Settings, use_case: str) -> Path:
    """Where the processes report themselves."""
    return settings.serving_dir / use_case / "followers"


def report(settings: Settings, follower: Follower) -> None:
    """Write a process's report; raises `OSError` when there is no space, `ServingError` when the
    shared store cannot be reached.
    """
    objects = objects_of(settings)
    if objects is not None:
        with reaching():
            objects.write(
                _object_name(follower.use_case, follower.process),
                follower.model_dump_json().encode(),
            )
        return
    folder = followers_folder(settings, follower.use_case)
    write(folder / f"{follower.process.name}.json", follower.model_dump_json(indent=1))


def withdraw_report(settings: Settings, use_case: str, process: Process) -> None:
    """Take a process's report away when it ends."""
    objects = objects_of(settings)
    if objects is not None:
        with suppress(ServingError), reaching():
            objects.delete([_object_name(use_case, process)])
        return
    with suppress(OSError):
        (followers_folder(settings, use_case) / f"{process.name}.json").unlink(missing_ok=True)


def live_followers(settings: Settings, use_case: str) -> list[Follower]:
    """The processes that live, by name; the reports of the others are cleared.

    Raises `ServingError` when the shared store cannot be reached.
    """
    objects = objects_of(settings)
    if objects is not None:
        return _live_in(objects, use_case)
    live = []
    for path in sorted(followers_folder(settings, use_case).glob("*.json")):
        try:
            follower = Follower.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            continue
        except (OSError, ValidationError):
            # A report is replaced as a whole, so this one was damaged; its process writes it again
            # within `REPORT_SECONDS`, if it lives.
            path.unlink(missing_ok=True)
            continue
        if _lives(follower):
            live.append(follower)
        else:
            path.unlink(missing_ok=True)
    return live


def _live_in(objects: ObjectStore, use_case: str) -> list[Follower]:
    live, ended = [], []
    with reaching():
        for name in sorted(objects.tags(f"{FOLLOWERS}/{use_case}/")):
            stored = objects.read(name)
            try:
                follower = Follower.model_validate_json(b"" if stored is None else stored.content)
            except ValidationError:
                ended.append(name)
                continue
            if _lives(follower):
                live.append(follower)
            else:
                ended.append(name)
        objects.delete(ended)
    return live


def _object_name(use_case: str, process: Process) -> str:
    return f"{FOLLOWERS}/{use_case}/{process.name}.json"


def wait_until_followed(settings: Settings, plan: Plan, *, seconds: float) -> list[Follower]:
    """Wait until every live process has loaded all versions of exactly this plan and answers by it;
    those processes.

    Raises `LateStep` as soon as a later plan has taken its place, `ReleaseError` after `seconds`,
    with the processes that do not and their reasons, or when no process reports itself at all.
    """
    deadline = time.monotonic() + seconds
    pause = POLL_SECONDS if settings.models_uri is None else SHARED_POLL_SECONDS
    while True:
        require_newest(settings, plan)
        live = live_followers(settings, plan.use_case)
        late = [follower for follower in live if not follower.follows(plan)]
        if live and not late:
            return live
        if time.monotonic() >= deadline:
            raise ReleaseError(_not_followed(settings, plan, live, late, seconds))
        time.sleep(pause)


def require_newest(settings: Settings, plan: Plan) -> None:
    """Raise `LateStep` when a later plan has taken a plan's place: nobody will follow it any more,
    so whoever waits for that waits in vain.
    """
    with suppress(ServingError, SignatureError, OSError):
        newest = read_plan(settings, plan.use_case)
        if newest is not None and newest.sequence > plan.sequence:
            raise LateStep(
                f"The plan {plan.sequence} of {plan.use_case} is no longer in force: row"
                f" {newest.sequence} of the ledger has changed the traffic since."
            )


def _not_followed(
    settings: Settings,
    plan: Plan,
    live: Sequence[Follower],
    late: Sequence[Follower],
    seconds: float,
) -> str:
    text = f"The plan {plan.sequence} of {plan.use_case} is not followed after {seconds:g} s: "
    if not live:
        place = settings.models_uri or followers_folder(settings, plan.use_case)
        return f"{text}no process of an endpoint reports itself in {place}. Start the endpoint."
    reasons = "; ".join(
        f"{one.process.name} (port {one.port}): {one.why_not(plan)}" for one in late
    )
    return f"{text}{len(late)} of {len(live)} processes do not: {reasons}."


def _lives(follower: Follower) -> bool:
    process = follower.process
    if process.host == socket.gethostname() and process.namespace == _namespace():
        return _started(process.pid) == process.started
    return time.time() - follower.heartbeat < SILENT_SECONDS


def _namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _started(pid: int) -> str | None:
    """When a process started; None where there is none, or it has ended and nobody has asked for
    its exit code yet.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return None
    return None if fields[0] in ("Z", "X") else fields[START_FIELD]
