"""Requests that schemathesis makes from the endpoint's own OpenAPI document: `python -m
proofs.faults.generated URL COUNT SEED`.

Half of them keep to the document, half break it somewhere. Prints one line of JSON: how many were
sent, statuses, and what was wrong.
"""

from __future__ import annotations

import json
import logging
import sys
from collections import Counter
from typing import Any, NoReturn

import requests
from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis.errors import HypothesisException
from schemathesis import Case, GenerationMode, openapi
from schemathesis.core.errors import SchemathesisError
from schemathesis.core.result import Ok

TIMEOUT_SECONDS = 30.0
SHOWN = 5
ROUND = 100
JSON = "application/json"
MISTAKES = (requests.exceptions.InvalidHeader, requests.exceptions.InvalidURL, UnicodeError)
"""Requests that the HTTP client refuses to send; they are not counted."""


class Sender:
    """Sends cases until `wanted` were sent.

    `wrong` lists answers that must not be, each with the request as a command.
    """

    def __init__(self, url: str, wanted: int) -> None:
        self.sent = 0
        self.statuses: Counter[int] = Counter()
        self.wrong: list[str] = []
        self._url = url
        self._wanted = wanted
        self._session = requests.Session()
        self._session.trust_env = False

    @property
    def done(self) -> bool:
        """Whether enough was sent."""
        return self.sent >= self._wanted

    def send(self, case: Case[Any]) -> None:
        """Send one and judge the answer."""
        if self.done:
            return
        try:
            answer = case.call(base_url=self._url, session=self._session, timeout=TIMEOUT_SECONDS)
        except MISTAKES:
            return
        except requests.exceptions.RequestException as error:
            self._note(f"no answer: {type(error).__name__}", case)
            self.sent += 1
            return
        self.sent += 1
        self.statuses[answer.status_code] += 1
        kind = (answer.headers.get("content-type") or [""])[0]
        if answer.status_code >= 500:
            self._note(f"{answer.status_code}: {answer.content[:200]!r}", case)
        elif (answer.status_code == 200 or kind.startswith(JSON)) and not _is_json(answer.content):
            self._note(f"{answer.status_code} is no JSON: {answer.content[:200]!r}", case)

    def _note(self, text: str, case: Case[Any]) -> None:
        self.wrong.append(f"{text} to {case.as_curl_command()[:500]}")


def run(url: str, wanted: int, start: int) -> Sender:
    """Send `wanted` requests, round by round over all operations that answer JSON, with both kinds
    of data.
    """
    logging.disable(logging.WARNING)
    document = requests.get(f"{url}/docs.json", timeout=TIMEOUT_SECONDS).json()
    operations = [
        found.ok()
        for found in openapi.from_dict(document).get_all_operations()
        if isinstance(found, Ok)
    ]
    operations = [
        found for found in operations if _answers_json(document, found.path, found.method)
    ]
    sender, number = Sender(url, wanted), start
    with_body = sum(bool(operation.body) for operation in operations)
    examples = min(ROUND, max(1, wanted // (2 * with_body)))
    while not sender.done:
        sent = sender.sent
        for operation in operations:
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                number += 1
                if not sender.done:
                    _round(sender, operation, mode, number, examples)
        if sender.sent == sent:
            break
    return sender


def _round(
    sender: Sender, operation: Any, mode: GenerationMode, number: int, examples: int
) -> None:
    rules = settings(
        max_examples=examples,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    try:
        seed(number)(rules(given(case=operation.as_strategy(generation_mode=mode))(sender.send)))()
    except (HypothesisException, SchemathesisError):
        return  # for some operations there is nothing that breaks the document


def _answers_json(document: dict[str, Any], path: str, method: str) -> bool:
    content = document["paths"][path][method.lower()]["responses"].get("200", {}).get("content", {})
    return JSON in content


def _is_json(content: bytes) -> bool:
    """By the letter of RFC 8259: NaN and Infinity are none."""
    try:
        json.loads(content, parse_constant=_no_constant)
    except ValueError:
        return False
    return True


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def main(arguments: list[str]) -> int:
    """Print what was found."""
    sender = run(arguments[0], int(arguments[1]), int(arguments[2]))
    print(
        json.dumps(
            {
                "sent": sender.sent,
                "statuses": dict(sender.statuses),
                "wrong": sender.wrong[:SHOWN],
                "count": len(sender.wrong),
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
