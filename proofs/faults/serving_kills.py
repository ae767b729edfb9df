"""kill -9 of workers, of the whole endpoint and of shippers, while callers ask."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass

import psutil

from cli.platform.environment import process_environment, settings_environment
from include.settings import PROJECT_ROOT
from proofs.faults.line import Line
from proofs.harness.endpoint import Endpoint
from proofs.harness.logged import Account, logged_ids, settle
from proofs.harness.traffic import NO_ANSWER, Traffic
from proofs.harness.world import World

SEED = 20130401
WHOLE_SHARE = 0.2
"""Of the kills of the endpoint, the share that takes the supervisor and all workers at once."""

DEATH_SECONDS = 10.0
UNANSWERED_KILLS = 3
"""So many kills in a row may fall into a start. More would ask how fast this machine starts
processes beside whatever else it does, and not what the endpoint bears.
"""

ONLY_LOST = "rows without an answer are of requests without an id that were cut off"

SHIPPER = """
import sys, time
from include.inference_log import log
from include.settings import load_settings
log.CHUNK_ROWS = 25
settings = load_settings()
print("ready", flush=True)
while True:
    log.ship(settings, "flight_delays")
    time.sleep(0.01)
"""


def kill_one_worker(endpoint: Endpoint, world: World, *, kills: int) -> Line:
    """Two workers on one port; one dies, again and again.

    Callers repeat a lost request under its own id.
    """
    before = logged_ids(world.settings)
    done, died = 0, 0
    once = Traffic(endpoint.url, world.rows, callers=2, retries=False)
    with Traffic(endpoint.url, world.rows).flowing() as traffic, once.flowing():
        traffic.wait_for(50)
        while done < kills:
            workers = endpoint.workers()
            if len(workers) < 2:
                time.sleep(0.2)
                continue
            died += _dies(workers[done % 2])
            done += 1
            traffic.wait_for(30)
        traffic.wait_for(50)
    account = settle(world.settings, [*traffic.answered, *once.answered], before)
    return Line(
        "kill -9 one of two server workers under load",
        f"{kills} died, 0 client errors, 0 lost, 0 doubled, {ONLY_LOST}: True, refused: nothing",
        f"{died} died, {sum(traffic.errors.values())} client errors, {account},"
        f" {_only_lost(account, once)}, refused: {_refused(once)}",
        f"{account.answered} answers, {traffic.repeats} requests asked again,"
        f" slowest {traffic.slowest:.1f} s; {_told(once)}",
    )


@dataclass
class _Pace:
    """How long is waited between kills of the endpoint."""

    traffic: Traffic
    answers: int = 0
    unanswered: int = 0

    def rest(self, seconds: float) -> None:
        """Wait so long, and for an answer where the last kills all fell into a start."""
        time.sleep(seconds)
        silent = len(self.traffic.answers) == self.answers
        self.unanswered = self.unanswered + 1 if silent else 0
        if self.unanswered == UNANSWERED_KILLS:
            self.traffic.wait_for(1)
            self.unanswered = 0
        self.answers = len(self.traffic.answers)


def kill_at_random(
    endpoint: Endpoint, world: World, *, server_kills: int, shipper_kills: int
) -> Line:
    """Server and shipper die at random moments; the endpoint starts again as a supervisor would
    start it.
    """
    before = logged_ids(world.settings)
    chance = random.Random(SEED)  # noqa: S311  # moments of kills, not secrets
    shippers = Shippers(endpoint, shipper_kills)
    whole, single = 0, 0
    once = Traffic(endpoint.url, world.rows, callers=2, retries=False)
    with Traffic(endpoint.url, world.rows, callers=3).flowing() as traffic, once.flowing():
        traffic.wait_for(20)
        with shippers.dying():
            pace = _Pace(traffic)
            for _ in range(server_kills):
                if chance.random() < WHOLE_SHARE:
                    workers = endpoint.workers()
                    endpoint.kill()
                    whole += all(not worker.is_running() for worker in workers)
                    endpoint.launch()
                else:
                    single += _kill_some_worker(endpoint, chance)
                pace.rest(chance.uniform(0.5, 4.0))
        endpoint.wait_for("/readyz")
        traffic.wait_for(50, seconds=120)
    account = settle(world.settings, [*traffic.answered, *once.answered], before)
    return Line(
        f"kill -9 server and shipper {server_kills + shipper_kills} times at random",
        f"{server_kills + shipper_kills} died, 0 client errors, 0 lost, 0 doubled, {ONLY_LOST}:"
        " True, refused: nothing",
        f"{whole + single + shippers.died} died, {sum(traffic.errors.values())} client errors,"
        f" {account}, {_only_lost(account, once)}, refused: {_refused(once)}",
        f"{single} of one worker, {whole} of the whole endpoint, {shippers.died} of a shipper;"
        f" {account.answered} answers, {traffic.repeats} requests asked again, slowest"
        f" {traffic.slowest:.1f} s; {_told(once)}",
    )


def _only_lost(account: Account, once: Traffic) -> str:
    return f"{ONLY_LOST}: {account.unasked <= once.errors[NO_ANSWER]}"


def _refused(once: Traffic) -> str:
    """What a worker said that took a request and could not answer it, and how often."""
    refusals = {text: number for text, number in once.errors.items() if text != NO_ANSWER}
    return ", ".join(f"{text} ({number})" for text, number in sorted(refusals.items())) or "nothing"


def _told(once: Traffic) -> str:
    return f"without an id {len(once.answered)} answered, {once.errors[NO_ANSWER]} cut off"


def _kill_some_worker(endpoint: Endpoint, chance: random.Random) -> int:
    """Wait for a worker that is up, then kill one; 1 when it died of that."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        workers = endpoint.workers()
        if workers:
            with suppress(psutil.NoSuchProcess):
                return _dies(chance.choice(workers))
        time.sleep(0.1)
    return 0


def _dies(worker: psutil.Process) -> int:
    """Kill a worker; 1 when it is gone, 0 when it lives on."""
    worker.kill()
    gone, _ = psutil.wait_procs([worker], timeout=DEATH_SECONDS)
    return len(gone)


class Shippers:
    """Shippers one after the other, each killed a moment after it has begun."""

    def __init__(self, endpoint: Endpoint, kills: int) -> None:
        self.kills = 0
        self.died = 0
        self._wanted = kills
        self._environment = process_environment(
            {**settings_environment(endpoint.settings), "PYTHONPATH": str(PROJECT_ROOT)}
        )
        self._thread = threading.Thread(target=self._run)

    def dying(self) -> Shippers:
        """A context: at its end all kills have been done."""
        return self

    def __enter__(self) -> Shippers:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()

    def _run(self) -> None:
        chance = random.Random(SEED + 1)  # noqa: S311  # moments of kills, not secrets
        while self.kills < self._wanted:
            command = [sys.executable, "-c", SHIPPER]
            with subprocess.Popen(
                command, cwd=PROJECT_ROOT, env=self._environment, stdout=subprocess.PIPE
            ) as shipper:
                if shipper.stdout is None or shipper.stdout.readline() != b"ready\n":
                    return
                time.sleep(chance.uniform(0.0, 0.6))
                shipper.kill()
                self.kills += 1
                self.died += shipper.wait() == -signal.SIGKILL
