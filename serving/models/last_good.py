"""What a process keeps for its next start: the plan that it follows, and copies of its packages.

    <serving_dir>/<use_case>/last_good.json    {"issued", "previous", "libraries"}

`previous` is the newest plan before it with other versions: what a release goes back to. The plans
are the signed ones, so that nobody can put a version into service here either.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from include.errors import FlightdeckError
from include.files import write
from include.model.signing import public_key
from include.release.copies import copy_package, remove_other_copies
from include.release.plan import (
    IssuedPlan,
    Plan,
    last_good_path,
    parse_former,
    parse_issued,
    plan_path,
)
from include.settings import Settings
from serving.models.probation import libraries
from serving.models.traffic import Key

logger = logging.getLogger("flightdeck.serving")


class LastGood:
    """The record and the copies of one use case; shared by the processes of a model store."""

    def __init__(self, settings: Settings, use_case: str) -> None:
        self._settings = settings
        self._use_case = use_case
        self._path = last_good_path(settings, use_case)

    def read(self) -> IssuedPlan | None:
        """The plan that was followed here at last; None where none was, or it cannot be read."""
        document = self._document()
        try:
            if "issued" in document:
                content = json.dumps(document["issued"]).encode()
                key = public_key(self._settings)
                return parse_issued(content, key, self._use_case, self._path)
            if "version" in document and not plan_path(self._settings, self._use_case).exists():
                content = json.dumps(document).encode()
                return IssuedPlan(parse_former(content, self._use_case, self._path), former=True)
        except FlightdeckError as error:
            logger.warning("%s: %s", self._use_case, error)
        return None

    def libraries_are_the_same(self) -> bool:
        """Say whether its versions passed their probation with the libraries installed now."""
        return bool(self._document().get("libraries") == libraries())

    def keep(self, issued: IssuedPlan, folders: Mapping[Key, Path]) -> None:
        """Keep a plan for the next start, and copies of its versions' packages from `folders`.

        A full disk must not keep it from being followed now; nor does a slow process take back what
        another one has kept since.
        """
        recorded = self.read()
        if recorded is not None and recorded.order > issued.order:
            return
        previous = self._previous(issued.plan, recorded)
        try:
            for (version, digest), folder in folders.items():
                copy_package(self._settings, self._use_case, version, digest, folder)
            self._write(issued, previous)
        except OSError:
            logger.exception(
                "%s: plan %d cannot be kept for the next start",
                self._use_case,
                issued.plan.sequence,
            )
        else:
            pinned = [*issued.plan.versions, *(previous.versions if previous else ())]
            remove_other_copies(self._settings, self._use_case, pinned)

    def _previous(self, plan: Plan, recorded: IssuedPlan | None) -> Plan | None:
        if recorded is not None and _versions(recorded.plan) != _versions(plan):
            return recorded.plan
        # It only says which copies stay.
        with suppress(ValidationError, TypeError):
            return Plan.model_validate(self._document().get("previous"))
        return None

    def _write(self, issued: IssuedPlan, previous: Plan | None) -> None:
        plan = issued.plan
        followed: dict[str, Any] = {"issued": issued.as_json()}
        if issued.former:
            champion = plan.champion
            followed = {
                "version": None if champion is None else champion.version,
                "digest": None if champion is None else champion.digest,
            }
        before = None if previous is None else previous.model_dump(mode="json")
        content = {**followed, "previous": before, "libraries": libraries()}
        write(self._path, json.dumps(content, indent=1), durable=True)

    def _document(self) -> dict[str, Any]:
        try:
            document = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return {}
        return document if isinstance(document, dict) else {}


def _versions(plan: Plan) -> set[Key]:
    return {(arm.version, arm.digest) for arm in plan.versions}
