"""The consumer is a process: FastStream on NATS JetStream, with the models, the online store, the
batcher and the log of the endpoint.

Three streams per use case: `<use_case>-requests`, `-answers` and `-dead`, on the subjects
`flightdeck.<use_case>.requests`, `.answers` and `.dead`. At most `in_flight` events are
unacknowledged; the broker holds the rest until there is room.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from faststream import AckPolicy, FastStream
from faststream.nats import ConsumerConfig, JStream, NatsBroker, PullSub
from faststream.nats.annotations import NatsMessage
from nats.errors import Error as NatsError

from include.inference_log.rows import EVENTS_KEPT_SECONDS
from include.settings import Settings
from include.spec import UseCase
from serving.contract.schema import request_schema
from serving.engine.batcher import Batcher
from serving.models.watcher import ModelWatcher
from serving.router.router import PlanRouter
from serving.scoring.online_stores import OnlineStores
from serving.stream.handler import Delivery, Handler

FETCH_SECONDS = 1.0
PUBLISH_SECONDS = 5.0
STOP_SECONDS = 20.0
READY_POLL_SECONDS = 0.1
DUPLICATE_WINDOW_SECONDS = 3600.0
DAY_SECONDS = 86_400.0
MESSAGE_ID = "Nats-Msg-Id"
REASON = "Flightdeck-Reason"

logger = logging.getLogger("flightdeck.stream")


@dataclass(frozen=True)
class StreamOptions:
    """How the consumer takes events: how many at once, and after how many seconds the broker gives
    an unacknowledged one again.
    """

    url: str
    in_flight: int = 256
    ack_wait: float = 30.0


@dataclass(frozen=True)
class Channel:
    """One subject and the stream that stores it."""

    subject: str
    stream: JStream


def channel(use_case: str, kind: str) -> Channel:
    """Return `requests`, `answers` or `dead` of a use case.

    What is stored goes before the log forgets the events' ids: nothing can be delivered again that
    is not known any more.
    """
    stream = JStream(
        f"{use_case}-{kind}",
        max_age=EVENTS_KEPT_SECONDS - DAY_SECONDS,
        duplicate_window=DUPLICATE_WINDOW_SECONDS,
    )
    return Channel(f"flightdeck.{use_case}.{kind}", stream)


class NatsOutbox:
    """Publishes with the event's id as the message's: the broker drops what it has stored within
    the last hour.
    """

    def __init__(self, broker: NatsBroker, use_case: str) -> None:
        self._broker = broker
        self._answers, self._dead = channel(use_case, "answers"), channel(use_case, "dead")
        for target in (self._answers, self._dead):
            broker.publisher(target.subject, stream=target.stream)

    async def answer(self, event_id: str, body: bytes) -> bool:
        """Publish an answer."""
        return await self._publish(
            self._answers, body, {MESSAGE_ID: event_id.encode("unicode_escape").decode("ascii")}
        )

    async def set_aside(self, identifier: str, body: bytes, reason: str) -> bool:
        """Publish an event that cannot be answered, with the reason's code as a header."""
        return await self._publish(self._dead, body, {MESSAGE_ID: identifier, REASON: reason})

    async def _publish(self, target: Channel, body: bytes, headers: dict[str, str]) -> bool:
        try:
            stored = await self._broker.publish(
                body,
                target.subject,
                headers=headers,
                stream=target.stream.name,
                timeout=PUBLISH_SECONDS,
            )
        except (NatsError, TimeoutError) as error:
            raise ConnectionError(f"{target.subject}: {error!r}") from error
        return not (stored is not None and stored.duplicate)


class Consumer:
    """One use case's consumer: started once per process."""

    def __init__(self, settings: Settings, use_case: UseCase, options: StreamOptions) -> None:
        # An event can wait in the broker: what cannot be logged is never answered here, whatever
        # the endpoint does.
        serving = use_case.serving.model_copy(update={"log_full": "refuse"})
        self.use_case = use_case.model_copy(update={"serving": serving})
        self.watcher = ModelWatcher(settings, {use_case.name: self.use_case})
        use_cases = self.watcher.contracts.use_cases
        self.stores = OnlineStores(settings, use_cases)
        self.watcher.prepare = self.stores.prepare
        self.batcher = Batcher(
            settings,
            use_cases,
            PlanRouter(self.watcher.slots),
            self.stores,
            self.watcher.mirror,
        )
        self.broker = NatsBroker(options.url, graceful_timeout=STOP_SECONDS, logger=None)
        self.handler = Handler(
            request_schema(self.use_case), self.batcher, NatsOutbox(self.broker, use_case.name)
        )
        self._subscribe(options)

    async def run(self) -> None:
        """Wait for model and store, consume until SIGTERM or SIGINT, finish what was begun."""
        for part in (self.watcher, self.stores, self.batcher):
            part.start()
        try:
            await self._ready()
            await FastStream(self.broker, logger=None, after_startup=[self._started]).run()
        finally:
            for part in (self.watcher, self.stores, self.batcher):
                part.stop()
            logger.info("%s: stopped; %s", self.use_case.name, self.handler.counts)

    async def _ready(self) -> None:
        while missing := self._missing():
            logger.debug("%s: waiting for %s", self.use_case.name, missing)
            await asyncio.sleep(READY_POLL_SECONDS)

    def _missing(self) -> str | None:
        name = self.use_case.name
        if self.watcher.slots[name].serving is None:
            return "a model"
        return None if self.stores.is_open(name) else "the online store"

    def _started(self) -> None:
        logger.info(
            "%s: version %d consumes",
            self.use_case.name,
            self.watcher.slots[self.use_case.name].served().version,
        )

    def _subscribe(self, options: StreamOptions) -> None:
        requests = channel(self.use_case.name, "requests")

        @self.broker.subscriber(
            requests.subject,
            stream=requests.stream,
            durable=f"flightdeck-{self.use_case.name}",
            pull_sub=PullSub(batch_size=options.in_flight, timeout=FETCH_SECONDS),
            config=ConsumerConfig(
                ack_wait=options.ack_wait, max_ack_pending=options.in_flight, max_deliver=-1
            ),
            ack_policy=AckPolicy.MANUAL,
            decoder=_undecoded,
        )
        async def consume(message: NatsMessage) -> None:
            metadata = message.raw_message.metadata
            delivery = Delivery(
                message.body,
                message.raw_message.subject,
                metadata.stream,
                metadata.sequence.stream,
                metadata.num_delivered or 1,
            )
            self.handler.schema = self.watcher.contracts.schemas[self.use_case.name]
            again = await self.handler.handle(delivery)
            if again is None:
                await message.ack()
            else:
                await message.nack(delay=again)


async def _undecoded(message: NatsMessage) -> bytes:
    """The handler reads the bytes by its own strict rules."""
    return bytes(message.body)
