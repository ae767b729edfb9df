"""Every transport learns here what came of a request: its answer, or a refusal that is counted."""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from typing import TypeVar

from serving.contract.body import DisconnectedError
from serving.contract.errors import RequestError
from serving.contract.metrics import REFUSALS

T = TypeVar("T")

logger = logging.getLogger("flightdeck.serving")


async def answer_or_refusal(work: Awaitable[T]) -> T | RequestError:
    """Return what `work` gives or the refusal that it raises; a defect of ours is one, too.

    `DisconnectedError` passes: there is nobody to answer.
    """
    try:
        return await work
    except DisconnectedError:
        raise
    except RequestError as error:
        return error
    except Exception as error:
        logger.exception("a request failed unexpectedly")
        return internal(error)


def refuse(error: RequestError) -> tuple[bytes, int]:
    """Return body and status of a refusal, and count it."""
    REFUSALS.labels(str(error.status), error.code).inc()
    return error.body(), error.status


def internal(error: Exception) -> RequestError:
    """Return the refusal for a defect of ours."""
    return RequestError(
        500, "internal", f"The endpoint failed ({type(error).__name__}); its log says why."
    )
