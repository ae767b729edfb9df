"""What the endpoint reads or writes is away:

MLflow, the online store, the model store, the space for the log.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from include.errors import PlatformError
from include.features.online.store import WAIT_SECONDS
from include.inference_log.drop_counter import DropCounter
from include.inference_log.log import gaps_table, ship, spool_path
from include.release.model_store import publish, set_desired
from include.release.plan import PlannedArm, write_plan_by_hand
from include.tables.store import TableStore
from proofs.faults.line import Line
from proofs.harness.endpoint import USE_CASE, Endpoint, overlay
from proofs.harness.logged import logged_ids, settle
from proofs.harness.tracking import TrackingServer
from proofs.harness.traffic import Traffic, predict
from proofs.harness.world import World

LOG_BYTES = 40_000_000
SEGMENT_BYTES = 1 << 18
"""Of the log's journal while its disk is full: what a segment has already is filled before anything
is refused.
"""

FIRST_SECONDS = 60.0
"""Within which a full disk shows."""
NOTICED_SECONDS = 15.0
LIVE_SECONDS = 2.0
# A look-up waits for a locked store, and the machine may be busy.
LONGEST_SECONDS = WAIT_SECONDS + 3.0
REFUSED = "503 features_unavailable"
NEW_VERSION = 21


def stop_mlflow(endpoint: Endpoint, world: World) -> Line:
    """A real tracking server is killed under load; then the endpoint is started again without
    it.
    """
    server = TrackingServer(endpoint.settings)
    server.start()
    up = server.answers()
    try:
        with Traffic(endpoint.url, world.rows, callers=2).flowing() as traffic:
            traffic.wait_for(30)
            server.kill()
            away = not server.answers()
            traffic.wait_for(30)
            endpoint.stop()
            endpoint.start()
            endpoint.wait_for("/readyz")
            traffic.wait_for(30)
    finally:
        server.kill()
    return Line(
        "stop MLflow, then restart the endpoint",
        "MLflow was up: True, then away: True, 0 client errors, version 1 answers",
        f"MLflow was up: {up}, then away: {away}, {sum(traffic.errors.values())} client errors,"
        f" {_versions(traffic)}",
        f"{len(traffic.answered)} answers",
    )


def lock_online_store(endpoint: Endpoint, world: World, *, seconds: float) -> Line:
    """Another process keeps all readers out of the store, for longer than a look-up waits: refused
    in time and in JSON, said by `/readyz`, never answered wrongly, and over when it is over.
    """
    with Traffic(endpoint.url, world.rows, retries=False).flowing() as traffic:
        traffic.wait_for(30)
        with _locked_out(world.settings.feature_store_dir / "online.db"):
            time.sleep(WAIT_SECONDS + seconds)
            looked = time.monotonic()
            alive = endpoint.client.get("/livez").status_code
            loop_seconds = time.monotonic() - looked
            endpoint.wait_for("/readyz", 503, seconds=NOTICED_SECONDS)
        # What was asked under the lock may still be on its way.
        time.sleep(1.0)
        during, slowest = dict(traffic.errors), traffic.slowest
        traffic.wait_for(30)
        endpoint.wait_for("/readyz")
        after = sum(traffic.errors.values()) - sum(during.values())
    strange = sorted(set(during) - {REFUSED})
    return Line(
        "lock the online store",
        f"refused under the lock: True, nobody waits {LONGEST_SECONDS:g} s: True, /livez 200 within"
        f" {LIVE_SECONDS:g} s: True, /readyz 503 until it is over, refusals other than {REFUSED}:"
        " none, after the lock: 0 errors",
        f"refused under the lock: {REFUSED in during}, nobody waits {LONGEST_SECONDS:g} s:"
        f" {slowest < LONGEST_SECONDS}, /livez {alive} within {LIVE_SECONDS:g} s:"
        f" {loop_seconds < LIVE_SECONDS}, /readyz 503 until it is over, refusals other than"
        f" {REFUSED}: {', '.join(strange) or 'none'}, after the lock: {after} errors",
        f"locked for {WAIT_SECONDS + seconds:g} s; {sum(during.values())} refused,"
        f" {len(traffic.answered)} answered, slowest {slowest:.1f} s",
    )


def remove_online_store(endpoint: Endpoint, world: World) -> Line:
    """The store's file is gone: told by the answer and by `/readyz`, and over when it is back."""
    store = world.settings.feature_store_dir / "online.db"
    away = store.with_name("online.db-away")
    store.rename(away)
    try:
        answer = predict(endpoint.client, world.rows[:1], seconds=0)[0]
        ready = endpoint.client.get("/readyz").status_code
    finally:
        away.rename(store)
    endpoint.wait_for("/readyz")
    again = predict(endpoint.client, world.rows[:1])[0]
    code = "none" if answer is None else answer.json().get("error", {}).get("code")
    return Line(
        "remove the online store",
        "503 features_unavailable, /readyz 503, 200 again when it is back",
        f"{'none' if answer is None else answer.status_code} {code}, /readyz {ready},"
        f" {'none' if again is None else again.status_code} again when it is back",
        str(store.name),
    )


@contextmanager
def _locked_out(store: Path) -> Iterator[None]:
    """Nobody can begin to read the SQLite file: its read locks are held, by a process of its own as
    locks belong to processes.
    """
    code = (
        "import fcntl, sys; file = open(sys.argv[1], 'r+b');"
        " fcntl.lockf(file, fcntl.LOCK_EX, 8, 120); print('locked', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, f"{store}-shm"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        try:
            if holder.stdout is None or holder.stdout.readline().strip() != "locked":
                raise PlatformError(f"{store}-shm cannot be locked: the fault did not take place")
            yield
        finally:
            holder.kill()


def hide_artefacts(endpoint: Endpoint, world: World) -> Line:
    """Neither MLflow's artefacts nor the model store can be read: a swap is refused, and a restart
    serves the last good version. The version that is asked for is one that the endpoint has never
    followed, as it keeps copies of those that it has.
    """
    hidden = [
        path
        for path in (
            world.settings.serving_dir / "models",
            world.settings.home / "mlflow" / "artifacts",
        )
        if path.exists()
    ]
    new = PlannedArm(role="champion", version=NEW_VERSION, digest=world.digests[2], share=1.0)
    publish(world.settings, USE_CASE, world.packages[2], new.version, new.digest)
    with Traffic(endpoint.url, world.rows, callers=2).flowing() as traffic:
        traffic.wait_for(20)
        with _renamed(hidden):
            write_plan_by_hand(world.settings, USE_CASE, (new,))
            traffic.wait_for(20)
            endpoint.stop()
            endpoint.start()
            endpoint.wait_for("/readyz")
            traffic.wait_for(20)
            error = str(endpoint.model()["last_error"] or "none")
            versions = _versions(traffic)
        endpoint.wait_for_version(NEW_VERSION)
        set_desired(world.settings, USE_CASE, 1, world.digests[1])
        endpoint.wait_for_version(1)
    return Line(
        "make the artefact store unreadable, restart the endpoint",
        "0 client errors, version 1 answers, the swap is reported as failed: True, done once it can"
        " be read",
        f"{sum(traffic.errors.values())} client errors, {versions}, the swap is reported as failed:"
        f" {error != 'none'}, done once it can be read",
        f"{len(traffic.answered)} answers; {error}",
    )


@contextmanager
def _renamed(paths: Sequence[Path]) -> Iterator[None]:
    """The paths are away for the time of the block."""
    for path in paths:
        path.rename(path.with_name(f"{path.name}-away"))
    try:
        yield
    finally:
        for path in paths:
            path.with_name(f"{path.name}-away").rename(path)


@contextmanager
def small_log_disk(world: World) -> Iterator[str]:
    """The spool's folder on a file system of 40 MB where this user may mount one; the text says
    what it is.
    """
    folder = spool_path(world.settings).parent
    ship(world.settings, USE_CASE)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={LOG_BYTES}", "tmpfs", str(folder)],  # noqa: S607
        capture_output=True,
        check=False,
    )  # mount is wherever the system has it
    try:
        yield (
            "a tmpfs of 40 MB, filled to the last byte"
            if mounted.returncode == 0
            else "a file-size limit of the server's processes"
        )
    finally:
        if mounted.returncode == 0:
            subprocess.run(["umount", "-l", str(folder)], capture_output=True, check=False)  # noqa: S607


def fill_log_disk(endpoint: Endpoint, world: World, what: str) -> Line:
    """Policy `refuse`: while there is no space, nothing is answered; nothing that was answered is
    lost.
    """
    before = logged_ids(world.settings)
    with Traffic(endpoint.url, world.rows, retries=False).flowing() as traffic:
        traffic.wait_for(30)
        with _no_space(endpoint, world, what):
            _until(lambda: bool(traffic.errors), "a refusal")
            # Each worker fills the segment that it has before it refuses.
            endpoint.wait_for("/readyz", 503, seconds=FIRST_SECONDS)
            time.sleep(1.0)
            answered = len(traffic.answered)
            time.sleep(2.0)
            answered_full = len(traffic.answered) - answered
            ready = endpoint.client.get("/readyz").status_code
        endpoint.wait_for("/readyz")
        traffic.wait_for(30)
        again = predict(endpoint.client, world.rows[:1])[0]
    account = settle(world.settings, traffic.answered, before)
    codes = ", ".join(sorted(traffic.errors))
    answers = account.answered
    return Line(
        "fill the log's disk, policy refuse",
        "0 answered while full, refused with 503 log_unavailable, /readyz 503, 0 lost, 0 doubled,"
        " 200 again with space",
        f"{answered_full} answered while full, refused with {codes}, /readyz {ready}, {account}, "
        f"{'none' if again is None else again.status_code} again with space",
        f"{what}; {answers} answers, {sum(traffic.errors.values())} refused",
    )


def fill_log_disk_and_answer(endpoint: Endpoint, world: World, what: str) -> Line:
    """Policy `answer`: answers go on, and what is missing from the log is counted to the row."""
    before = logged_ids(world.settings)
    counter = DropCounter(spool_path(world.settings).with_name("dropped.json"))
    with Traffic(endpoint.url, world.rows, retries=False).flowing() as traffic:
        traffic.wait_for(30)
        with _no_space(endpoint, world, what):
            _until(lambda: sum(counter.totals().values()) > 50, "a row that cannot be logged")
            ready = endpoint.client.get("/readyz").status_code
            time.sleep(1.5)
            outcome = (
                endpoint.client.get("/v1/models").json()["log"]["dropped_rows"].get(USE_CASE, 0) > 0
            )
            metric = (
                'flightdeck_log_dropped_rows{use_case="flight_delays"}'
                in endpoint.client.get("/metrics").text
            )
        traffic.wait_for(50)
        time.sleep(2.5)
    account = settle(world.settings, traffic.answered, before)
    dropped = sum(counter.totals().values())
    gaps = TableStore(world.settings.tables_uri).read(gaps_table(USE_CASE))["rows"].sum()
    return Line(
        "fill the log's disk, policy answer",
        "0 client errors, rows missing and not counted: 0, rows in the gap table and not counted:"
        " 0, metric: True, told by /v1/models: True, /readyz 200",
        f"{sum(traffic.errors.values())} client errors, rows missing and not counted:"
        f" {account.lost - dropped}, rows in the gap table and not counted: {gaps - dropped},"
        f" metric: {metric}, told by /v1/models: {outcome}, /readyz {ready}",
        f"{what}; {account.answered} answers, {dropped} counted as missing, {account.rows} logged",
    )


def answer_policy(world: World) -> dict[str, str]:
    """The environment of an endpoint whose use case goes on answering on a full disk."""
    return overlay(world.settings.home, json.dumps({USE_CASE: {"serving": {"log_full": "answer"}}}))


@contextmanager
def _no_space(endpoint: Endpoint, world: World, what: str) -> Iterator[None]:
    """No more space for the log: its file system filled up, or a limit on the size of files."""
    if "tmpfs" in what:
        filler = spool_path(world.settings).with_name("filler")
        try:
            _fill(filler)
            yield
        finally:
            filler.unlink(missing_ok=True)
        return
    size = min(
        spool_path(world.settings).with_name("spool.db-wal").stat().st_size, SEGMENT_BYTES // 2
    )
    workers = endpoint.workers()
    for worker in workers:
        worker.rlimit(psutil.RLIMIT_FSIZE, (size, psutil.RLIM_INFINITY))
    try:
        yield
    finally:
        for worker in workers:
            worker.rlimit(psutil.RLIMIT_FSIZE, (psutil.RLIM_INFINITY, psutil.RLIM_INFINITY))


def _fill(path: Path) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        for size in (1 << 20, 1 << 12, 1):
            with suppress(OSError):
                while os.write(descriptor, b"x" * size):
                    pass
    finally:
        os.close(descriptor)


def _until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + FIRST_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise PlatformError(f"there was no {what} within {FIRST_SECONDS:g} s")
        time.sleep(0.05)


def _versions(traffic: Traffic) -> str:
    return f"version {' and '.join(str(version) for version in traffic.versions)} answers"
