"""The contracts are what callers may ask now: each use case as the versions in force read it, and
the checks that are compiled from that.
"""

from __future__ import annotations

from collections.abc import Mapping

from include.spec import UseCase
from serving.contract.feedback import FeedbackSchema, feedback_schema
from serving.contract.schema import RequestSchema, request_schema
from serving.models.live import Live


class Contracts:
    """By use case; the watching thread changes them, everybody reads them."""

    def __init__(self, use_cases: Mapping[str, UseCase]) -> None:
        self.use_cases = Live(use_cases)
        self.schemas: Live[RequestSchema] = Live(
            {name: request_schema(use_case) for name, use_case in use_cases.items()}
        )
        self.feedback: Live[FeedbackSchema] = Live(
            {name: feedback_schema(use_case) for name, use_case in use_cases.items()}
        )

        self._compiled: tuple[UseCase, RequestSchema, FeedbackSchema] | None = None

    def compile(self, use_case: UseCase) -> tuple[UseCase, RequestSchema, FeedbackSchema]:
        """Make the checks of a contract that is about to come into force: that takes longer than
        putting it into force may.
        """
        if self._compiled is None or self._compiled[0] is not use_case:
            self._compiled = (use_case, request_schema(use_case), feedback_schema(use_case))
        return self._compiled

    def put(self, use_case: UseCase) -> None:
        """Have a use case asked by this contract from now on."""
        name = use_case.name
        if self.use_cases.get(name) is use_case:
            return
        _, schema, feedback = self.compile(use_case)
        self.use_cases.put(name, use_case)
        self.schemas.put(name, schema)
        self.feedback.put(name, feedback)

    def drop(self, name: str) -> None:
        """Answer nobody about a use case any more."""
        for mapping in (self.schemas, self.feedback, self.use_cases):
            mapping.drop(name)
