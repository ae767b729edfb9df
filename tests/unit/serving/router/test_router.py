"""The champion's router: the version in service answers everything, as one arm while it serves."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from serving.contract.errors import UnanswerableError
from serving.contract.question import Question
from serving.models.slots import ModelSlot
from serving.router.router import ChampionRouter


class Slot(ModelSlot):
    """A slot without a model store."""

    def __init__(self, version: int | None) -> None:
        self.use_case: Any = SimpleNamespace(name="case")
        self.put(version)

    def put(self, version: int | None) -> None:
        self.serving: Any = None if version is None else SimpleNamespace(version=version)


def test_every_request_goes_to_the_version_that_serves():
    slot = Slot(3)
    router = ChampionRouter({"case": slot})
    arm = router.pick(Question("case", []))
    assert (arm.role, arm.version, arm.share) == ("champion", 3, 1.0)
    assert arm.model is slot.serving
    assert router.pick(Question("case", [])) is arm


def test_another_version_is_another_arm():
    slot = Slot(3)
    router = ChampionRouter({"case": slot})
    before = router.pick(Question("case", []))
    slot.put(4)
    assert router.pick(Question("case", [])).version == 4
    assert before.version == 3


def test_without_a_model_the_request_is_refused_by_name():
    with pytest.raises(UnanswerableError, match="No model of case is in service") as refused:
        ChampionRouter({"case": Slot(None)}).pick(Question("case", []))
    assert (refused.value.status, refused.value.code) == (503, "no_model")
