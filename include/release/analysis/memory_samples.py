"""The endpoint's memory over a rollout: one sample per process at every look, in a file beside the
plan.

    <serving_dir>/<use_case>/memory/<sequence of the rollout's first plan>.jsonl
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from include.release.analysis.observed import MemorySample
from include.release.followers import live_followers, this_process
from include.settings import Settings


def sample_memory(
    settings: Settings, use_case: str, first: int, rows: int
) -> tuple[MemorySample, ...]:
    """Take a sample of every endpoint process of this machine, and return all of the rollout.

    `first` is the rollout's first plan, `rows` what the challenger has answered by now. Processes
    of other machines are not sampled.
    """
    path = settings.serving_dir / use_case / "memory" / f"{first}.jsonl"
    before, now = _recorded(path), _samples(settings, use_case, rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.writelines(_line(sample) for sample in now)
    return (*before, *now)


def _samples(settings: Settings, use_case: str, rows: int) -> list[MemorySample]:
    import psutil

    own, moment, samples = this_process(), datetime.now(UTC), []
    for follower in live_followers(settings, use_case):
        process = follower.process
        if (process.host, process.namespace) != (own.host, own.namespace):
            continue
        try:
            resident = int(psutil.Process(process.pid).memory_info().rss)
        except psutil.Error:  # it has just ended
            continue
        samples.append(MemorySample(moment, process.name, resident, rows))
    return samples


def _recorded(path: Path) -> list[MemorySample]:
    if not path.exists():
        return []
    samples = []
    for line in path.read_text().splitlines():
        try:
            moment, process, resident, rows = json.loads(line)
        except ValueError:  # the last line of a look that was killed
            continue
        samples.append(MemorySample(datetime.fromisoformat(moment), process, resident, rows))
    return samples


def _line(sample: MemorySample) -> str:
    fields = [sample.moment.isoformat(), sample.process, sample.resident, sample.rows]
    return json.dumps(fields) + "\n"
