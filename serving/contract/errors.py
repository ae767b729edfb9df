"""These errors are what the endpoint answers when it does not answer with predictions.

    RequestError
    |-- UnreadableError       the body is not a JSON document (400), too large (413), of another
    type (415), too slow (408)
    |-- InvalidError          JSON, but not what the schema asks for (422)
    `-- UnanswerableError     nothing wrong with the request: no model, no log, no time, too many at
    once (429, 503, 504)
        `-- NotLoadedError    the model stands by; the runtime has it loaded and asks again

Every one becomes `{"error": {"code", "message", "field", "valid"}}`; `field` is a path such as
`rows[0].carrier` or null.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

LOADING_RETRY_SECONDS = 2
"""What loading a model takes, as a rule; more where a child process tries it first."""


@dataclass
class RequestError(Exception):
    """A refusal with HTTP status, stable code, text, the field at fault and, where it helps, what
    is valid.
    """

    status: int
    code: str
    message: str
    field: str | None = None
    valid: Sequence[str] | None = None
    retry_after: int | None = None
    """After how many seconds it is worth asking again; `Retry-After`."""

    def body(self) -> bytes:
        """Return the JSON document of the answer."""
        error: dict[str, Any] = {
            "code": self.code,
            "message": _clean(self.message),
            "field": None if self.field is None else _clean(self.field),
        }
        if self.valid is not None:
            error["valid"] = list(self.valid)
        return orjson.dumps({"error": error})


class UnreadableError(RequestError):
    """The body is no JSON document that this endpoint takes."""


class InvalidError(RequestError):
    """The document does not match the schema."""


class UnanswerableError(RequestError):
    """The request is fine, but the endpoint cannot answer it now."""


class NotLoadedError(UnanswerableError):
    """The model that answers is not loaded."""

    def __init__(self, use_case: str) -> None:
        super().__init__(
            503,
            "model_loading",
            f"The model of {use_case} is being loaded; ask again shortly.",
            "use_case",
            retry_after=LOADING_RETRY_SECONDS,
        )


def field_path(location: Sequence[str | int]) -> str:
    """Write a location as a path: `("rows", 0, "carrier")` is `rows[0].carrier`."""
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += f".{part}" if path else part
    return path


def _clean(text: str) -> str:
    """Escape and cut a text that callers have chosen part of: lone surrogates cannot be encoded,
    and nobody needs more than 500 characters back.
    """
    return text[:500].encode("utf-8", "backslashreplace").decode()
