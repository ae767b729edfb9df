"""The process of a shadow: it loads a version, scores what it is sent, and logs it.

    python -m serving.models.shadow_process <use case> <version> <digest> <folder> <public key>

It says `ready` when the version has passed what a probation asks, or why it has not. It ends when
its input does. Rows that its model cannot score are logged without a score, with the reason.
"""

from __future__ import annotations

import logging
import os
import pickle
import resource
import select
import sys
import time
from contextlib import suppress
from io import FileIO
from pathlib import Path

from include.catalogue import load_use_case
from include.errors import FlightdeckError
from include.features.online.store import LookedUp
from include.inference_log.log import LoggedPrediction, SpoolError
from include.inference_log.writer import LogWriter
from include.model.lean_xgboost import import_lean
from include.process_end import end_at_once
from include.release.model_store import Desired
from include.settings import load_settings
from include.spec import UseCase
from serving.models.loading import check_contract, load_served
from serving.models.shadow import LENGTH, READY, Mirrored
from serving.scoring.arm import Arm
from serving.scoring.parts import Asked, Failures, try_rows
from serving.scoring.scorer import Moment

EXTRA_MEGABYTES = 512
"""How much the process may grow after the version is loaded; what takes more is ended by it."""
LOWEST_PRIORITY = 19
FIRST_TO_END = "1000"
TEND_SECONDS = 1.0

logger = logging.getLogger("flightdeck.serving")


def main(arguments: list[str]) -> int:
    """Load what the arguments name, and score until the input ends."""
    name, number, digest, folder, key = arguments
    import_lean()
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(FIRST_TO_END)
    try:
        use_case = load_use_case(name)
        served = load_served(Desired(int(number), digest, Path(folder)), use_case, Path(key))
        check_contract(use_case, served)
        use_case = served.scorer.use_case
        log = _open_log(use_case)
    except FlightdeckError as error:
        sys.stdout.write(f"{type(error).__name__}: {error}\n")
        return 3
    _limit_memory()
    # Not before: the release waits for the loading.
    os.setpriority(os.PRIO_PROCESS, 0, LOWEST_PRIORITY)
    sys.stdout.write(f"{READY}\n")
    sys.stdout.flush()
    arm = Arm("shadow", served.version, served, 0.0)
    # Without a buffer: what lay in one would be hidden from `select`.
    with open(sys.stdin.fileno(), "rb", buffering=0, closefd=False) as pipe:
        _score_all(pipe, use_case, arm, log)
    return 0


def _open_log(use_case: UseCase) -> LogWriter:
    """Rows are synced once a second: nobody waits for them. What is sent was sampled already."""
    serving = use_case.serving.model_copy(
        update={"log_sync": "second", "log_full": "refuse", "log_share": 1.0}
    )
    log = LogWriter(
        load_settings(), {use_case.name: use_case.model_copy(update={"serving": serving})}
    )
    log.tend()
    return log


def _limit_memory() -> None:
    lines = Path("/proc/self/status").read_text().splitlines()
    used = next((int(line.split()[1]) for line in lines if line.startswith("VmData:")), 0)
    limit = used * 1024 + EXTRA_MEGABYTES * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _score_all(pipe: FileIO, use_case: UseCase, arm: Arm, log: LogWriter) -> None:
    next_tending = time.monotonic() + TEND_SECONDS
    while True:
        wait = max(next_tending - time.monotonic(), 0.0)
        if select.select([pipe], [], [], wait)[0]:
            message = _read(pipe)
            if message is None:
                break
            _log(log, use_case, score(use_case, arm, *message))
        if time.monotonic() >= next_tending:
            next_tending = time.monotonic() + TEND_SECONDS
            with suppress(SpoolError):  # said in the endpoint's own log, once for all processes
                log.tend()
    log.close()


def _read(pipe: FileIO) -> tuple[int, list[Mirrored]] | None:
    """The next message; None at the end. It comes from the parent process, over no network."""
    head = _exactly(pipe, LENGTH.size)
    content = _exactly(pipe, LENGTH.unpack(head)[0]) if head else b""
    if not content:
        return None
    message: tuple[int, list[Mirrored]] = pickle.loads(content)  # noqa: S301
    return message


def _exactly(pipe: FileIO, size: int) -> bytes:
    """As many bytes; none where the input ends before."""
    content = b""
    while len(content) < size:
        more = pipe.read(size - len(content))
        if not more:
            return b""
        content += more
    return content


def score(
    use_case: UseCase, arm: Arm, plan: int, mirrored: list[Mirrored]
) -> list[LoggedPrediction]:
    """The log rows of what was mirrored; `latency_ms` is what scoring all of them took."""
    started = time.perf_counter()
    identifiers, sources, features, flags = (list(parts) for parts in zip(*mirrored, strict=True))
    nothing: list[tuple[str, ...]] = [()] * len(sources)
    lookup = LookedUp(features, nothing, nothing, nothing)
    batch = Asked(use_case, sources, lookup, sources, identifiers, [False] * len(sources))
    failures = Failures()
    rows = try_rows(batch, arm, range(len(sources)), failures)
    scorer = arm.model.scorer
    moment = Moment(
        arm.version,
        time.perf_counter(),
        time.time_ns() // 1000,
        arm.model.digest,
        arm.role,
        plan,
    )
    failed = moment._replace(fallback=failures.reason)
    no_score = scorer.answers.no_score()
    return [
        scorer.logged(
            identifiers[at],
            sources[at],
            features[at],
            no_score if row is None else row[2],
            flags[at] if row is None else [*flags[at], *row[3]],
            started,
            failed if row is None else moment,
            None,
        )
        for at, row in enumerate(rows)
    ]


def _log(log: LogWriter, use_case: UseCase, rows: list[LoggedPrediction]) -> None:
    try:
        log.write(use_case.name, log.encode(use_case.name, rows))
        if log.needs_room(use_case.name):
            log.make_room()
    except SpoolError:
        logger.exception("%s: the shadow's rows cannot be logged", use_case.name)


if __name__ == "__main__":
    end_at_once()
    sys.exit(main(sys.argv[1:]))
