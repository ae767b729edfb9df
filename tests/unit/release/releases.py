"""A home with small signed packages in its model store, and a ledger of their releases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from include.catalogue import load_use_case
from include.model.package import package_digest
from include.model.signing import attach_signature, sign_package
from include.release.ledger import Entry, Ledger
from include.release.model_store import publish
from include.release.rollout.decisions import arms_of_stage, champion_arm, decide
from include.settings import Settings, load_settings
from include.spec import UseCase

NAME = "flight_delays"


class Releases:
    """Versions 1 to 3 are published; what is released is for the test."""

    def __init__(self, folder: Path) -> None:
        self.settings: Settings = load_settings({"FLIGHTDECK_HOME": str(folder / "home")})
        self.use_case: UseCase = load_use_case(NAME)
        self.digests = {number: self._publish(folder, number) for number in (1, 2, 3)}
        self.ledger = Ledger(self.settings)

    def promote(self, version: int, **more: Any) -> Entry:
        """Put a version into service, as a deployment of its own does."""
        return self._decide("promoted", version, (champion_arm(version, self.digests[version]),))

    def try_beside(self, champion: Entry, version: int, share: float) -> Entry:
        """Give a version a share of the traffic."""
        digest = self.digests[version]
        arms, _ = arms_of_stage(champion, version, digest, share, kind="canary")
        return self._decide("traffic", version, arms)

    def _decide(self, event: Any, version: int, arms: Any) -> Entry:
        newest = self.ledger.newest(NAME)
        entry, _ = decide(
            self.settings,
            self.ledger,
            event,
            version,
            self.digests[version],
            use_case=self.use_case,
            arms=arms,
            actor="engineer",
            reason="test",
            evidence={"run": {"process": "deployment", "run_id": f"run_{event}_{version}"}},
            after=0 if newest is None else newest.number,
        )
        return entry

    def _publish(self, folder: Path, number: int) -> str:
        package = folder / f"package{number}"
        package.mkdir()
        (package / "model.ubj").write_bytes(b"trees %d" % number)
        digest = package_digest(package)
        content = {"digest": digest, "files": {"model.ubj": "0"}}
        (package / "digest.json").write_text(json.dumps(content))
        attach_signature(package, sign_package(self.settings, package, digest))
        publish(self.settings, NAME, package, number, digest)
        return digest
