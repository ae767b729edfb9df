"""That an environment ran a bundle end to end and got a model that answers: a statement, signed by
the environment's key, by which the next environment takes the bundle.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from include.errors import BundleError, SignatureError
from include.model.signing import sign_statement, verify_statement
from include.settings import Settings
from include.settings.environments import EnvironmentName

PURPOSE = "pipeline acceptance"


class Acceptance(BaseModel):
    """Which environment accepted which version when, who deployed it there, and what was tried."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    environment: EnvironmentName
    accepted_at: str
    actor: str
    tried: tuple[str, ...]
    signature: str = ""

    @property
    def statement(self) -> dict[str, Any]:
        """What is signed."""
        statement: dict[str, Any] = self.model_dump(mode="json", exclude={"signature"})
        return statement

    @property
    def as_json(self) -> dict[str, Any]:
        """The statement with its signature."""
        document: dict[str, Any] = self.model_dump(mode="json")
        return document

    def signed(self, settings: Settings) -> Acceptance:
        """The same, signed with the home's key."""
        signature = sign_statement(settings, PURPOSE, self.statement)
        return self.model_copy(update={"signature": signature})

    def is_signed_by(self, keys: Sequence[Path]) -> bool:
        """Whether one of the keys has signed it."""
        for key in keys:
            try:
                verify_statement(key, PURPOSE, self.statement, self.signature)
            except SignatureError:
                continue
            return True
        return False


def parse_acceptance(content: bytes, where: str) -> Acceptance:
    """The statement in a file. Raises `BundleError` for what is none."""
    try:
        return Acceptance.model_validate(json.loads(content))
    except (ValueError, ValidationError) as error:
        raise BundleError(f"{where} is no acceptance of a bundle: {error}") from error
