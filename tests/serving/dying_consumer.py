"""A consumer that kills itself (SIGKILL) at the worst moment: `python -m
tests.serving.dying_consumer USE_CASE MOMENT`, then as `stream`.

`before_publish`: the first answer is in the log and not yet on its subject. `before_ack`: it is on
its subject and not acknowledged.
"""

from __future__ import annotations

import os
import signal
import sys

from cli.application import invoke
from serving.stream.consumer import NatsOutbox

PUBLISH = NatsOutbox.answer


async def die(self: NatsOutbox, event_id: str, body: bytes) -> bool:
    if sys.argv[2] == "before_ack":
        await PUBLISH(self, event_id, body)
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


if __name__ == "__main__":
    NatsOutbox.answer = die
    invoke(["stream", sys.argv[1], *sys.argv[3:]])
