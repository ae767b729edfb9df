"""What a release asks the running endpoint: which version serves, and whether it answers its golden rows."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from include.errors import ReleaseError
from include.settings import Settings

if TYPE_CHECKING:
    import httpx

POLL_SECONDS = 0.25
REQUEST_SECONDS = 15.0
GOLDEN_TOLERANCE = 1e-6


def wait_until_serving(settings: Settings, use_case: str, version: int, digest: str, *, seconds: float) -> dict[str, Any]:
    """Wait until the endpoint serves exactly this version and answers its golden rows; what it answered.

    Raises `ReleaseError` with the endpoint's own reason after `seconds`.
    """
    import httpx

    deadline = time.monotonic() + seconds
    with httpx.Client(base_url=settings.serving_url, timeout=REQUEST_SECONDS, headers=settings.endpoint_headers) as client:
        while True:
            state, problem = _state(client, use_case)
            if state is not None:
                if (state["version"], state["digest"]) == (version, digest):
                    check, problem = _golden(client, use_case, version, digest)
                    if check is not None:
                        return {"model": state, "check": check}
                else:
                    problem = state["last_error"] or f"it serves version {state['version']}"
            if time.monotonic() >= deadline:
                raise ReleaseError(
                    f"The endpoint {settings.serving_url} does not serve {use_case} version {version} after {seconds:g} s: {problem}."
                )
            time.sleep(POLL_SECONDS)


def _state(client: httpx.Client, use_case: str) -> tuple[dict[str, Any] | None, str | None]:
    import httpx

    try:
        answer = client.get("/v1/models").raise_for_status().json()
    except (httpx.HTTPError, ValueError) as error:
        return None, f"it does not answer ({error}); start it, or correct FLIGHTDECK_SERVING_URL"
    state = next((model for model in answer["models"] if model["use_case"] == use_case), None)
    if state is None:
        return None, f"it knows no use case {use_case!r}; restart it after adding one"
    return state, None


def _golden(client: httpx.Client, use_case: str, version: int, digest: str) -> tuple[dict[str, Any] | None, str]:
    """The endpoint's own check; None and why where another of its workers, which swaps a moment later, has answered."""
    import httpx

    try:
        response = client.post(f"/v1/models/{use_case}/check")
        answer: dict[str, Any] = response.json()
    except (httpx.HTTPError, ValueError) as error:
        raise ReleaseError(f"The endpoint's own check of {use_case} failed: {error}.") from error
    if response.status_code != httpx.codes.OK:
        raise ReleaseError(f"The endpoint's own check of {use_case} answered {response.status_code}: {answer}.")
    if (answer["version"], answer["digest"]) != (version, digest):
        return None, f"one of its workers serves version {answer['version']}"
    if not answer["largest_difference"] <= GOLDEN_TOLERANCE:
        raise ReleaseError(f"The endpoint's own check of {use_case} version {version} does not hold: {answer}.")
    return answer, ""
