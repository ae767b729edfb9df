"""The good case: what is right passes, from delivery to endpoint."""

from __future__ import annotations

from proofs.harness.damage.rows import unharmed
from proofs.harness.endpoint import BENTOML_SERVICE, Endpoint
from proofs.refusals.case import Case
from proofs.refusals.verdict import Outcome
from proofs.refusals.world import World


def _good(world: World) -> Outcome:
    """March as it was: validated, published, trained on, accepted, and put into service by the real
    endpoint.
    """
    world.deliver(unharmed)
    for run in (world.features, world.train):
        outcome = run()
        if outcome.seen != "passed":
            return outcome
    settings = world.settings
    with Endpoint(settings, port=settings.serving_port, service=BENTOML_SERVICE):
        return world.deploy()


CASES = (Case("good model", (), _good, expected="passed"),)
