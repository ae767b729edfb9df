"""What a release asks the running endpoint: which version serves, whether it answers its golden
rows, and how fast.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from include.errors import ReleaseError
from include.release.followers import require_newest
from include.release.plan import Plan
from include.settings import Settings
from include.tls import trusted

if TYPE_CHECKING:
    import httpx

POLL_SECONDS = 0.25
REQUEST_SECONDS = 15.0
GOLDEN_TOLERANCE = 1e-6
SMOKE_CALLS = 40
SMOKE_WARM_UP = 5


def wait_until_serving(
    settings: Settings,
    use_case: str,
    version: int,
    digest: str,
    *,
    seconds: float,
    plan: Plan | None = None,
) -> dict[str, Any]:
    """Wait until the endpoint serves exactly this version and answers its golden rows; what it
    answered.

    Raises `ReleaseError` with the endpoint's own reason after `seconds`, and `LateStep` as soon as
    a later plan has taken the place of `plan`, by which the version is to serve.
    """
    import httpx

    deadline = time.monotonic() + seconds
    with httpx.Client(
        base_url=settings.serving_url,
        timeout=REQUEST_SECONDS,
        headers=settings.endpoint_headers,
        verify=trusted(),
    ) as client:
        while True:
            if plan is not None:
                require_newest(settings, plan)
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
                    f"The endpoint {settings.serving_url} does not serve {use_case} version"
                    f" {version} after {seconds:g} s: {problem}."
                )
            time.sleep(POLL_SECONDS)


def smoke_test(settings: Settings, use_case: str, *, limit_ms: float) -> dict[str, float]:
    """Ask the endpoint over HTTP for its golden rows, one request after the other: `{"calls",
    "p50_ms", "p90_ms", "calls_per_second"}`.

    Every call looks the rows' keys up and scores them, and none is logged. Raises `ReleaseError`
    when the median is above `limit_ms`, or a call fails.
    """
    import httpx

    taken: list[float] = []
    with httpx.Client(
        base_url=settings.serving_url,
        timeout=REQUEST_SECONDS,
        headers=settings.endpoint_headers,
        verify=trusted(),
    ) as client:
        for _ in range(SMOKE_WARM_UP + SMOKE_CALLS):
            started = time.perf_counter()
            try:
                client.post(f"/v1/models/{use_case}/check").raise_for_status()
            except httpx.HTTPError as error:
                raise ReleaseError(
                    f"The endpoint failed under its smoke test of {use_case}: {error}."
                ) from error
            taken.append(1000 * (time.perf_counter() - started))
    measured = sorted(taken[SMOKE_WARM_UP:])
    median = measured[SMOKE_CALLS // 2]
    if median > limit_ms:
        raise ReleaseError(
            f"The endpoint takes {median:.1f} ms for the golden rows of {use_case} (median of"
            f" {SMOKE_CALLS} requests); serving.max_smoke_ms is {limit_ms:g}."
        )
    seconds = sum(measured) / 1000
    return {
        "calls": float(SMOKE_CALLS),
        "p50_ms": round(median, 3),
        "p90_ms": round(measured[int(SMOKE_CALLS * 0.9)], 3),
        "calls_per_second": round(SMOKE_CALLS / seconds, 1),
    }


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


def _is_loading(answer: dict[str, Any]) -> bool:
    """Say whether a refusal only means that the model is being loaded."""
    error = answer.get("error")
    return isinstance(error, dict) and error.get("code") == "model_loading"


def _golden(
    client: httpx.Client, use_case: str, version: int, digest: str
) -> tuple[dict[str, Any] | None, str]:
    """The endpoint's own check;

    None and why where another of its workers, which swaps a moment later, has answered.
    """
    import httpx

    try:
        response = client.post(f"/v1/models/{use_case}/check")
        answer: dict[str, Any] = response.json()
    except (httpx.HTTPError, ValueError) as error:
        raise ReleaseError(f"The endpoint's own check of {use_case} failed: {error}.") from error
    if response.status_code == httpx.codes.SERVICE_UNAVAILABLE and _is_loading(answer):
        return None, "its model is being loaded"
    if response.status_code != httpx.codes.OK:
        raise ReleaseError(
            f"The endpoint's own check of {use_case} answered {response.status_code}: {answer}."
        )
    if (answer["version"], answer["digest"]) != (version, digest):
        return None, f"one of its workers serves version {answer['version']}"
    if not answer["largest_difference"] <= GOLDEN_TOLERANCE:
        raise ReleaseError(
            f"The endpoint's own check of {use_case} version {version} does not hold: {answer}."
        )
    return answer, ""
