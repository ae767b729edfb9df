"""What the demo says of its releases is what the ledger holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cli.demo.canary import release_rows
from cli.demo.challenger import ACTOR, REASON, REFUSED
from cli.demo.state import DemoState, ReleaseState
from include.release.ledger import Ledger
from include.release.rollout.overrides import override_gates
from include.verdict import Finding
from proofs.harness.home import home_settings

NAME = "parcels"
RUN = "bad"
WRONG = Finding(rule="scores", passed=False, metric="score_psi", observed=4.0, limit=0.5)


def test_a_release_is_told_stage_by_stage(tmp_path: Path) -> None:
    ledger = Ledger(home_settings(tmp_path))

    def add(event: Any, version: int, step: str, **evidence: Any) -> None:
        run = {"process": "deployment", "run_id": RUN}
        content = {"run": run, "step": step, **evidence}
        ledger.append(event, NAME, version, "d" * 64, "engineer", "r", content)

    override_gates(
        ledger, NAME, 3, "d" * 64, actor=ACTOR, reason=REASON, verdict=REFUSED, evidence={}
    )
    verdict = {"findings": [WRONG.model_dump(mode="json")], "challenger_rows": 61}
    add("verdict", 3, "check_package passed", about="check_package", outcome="passed")
    add("traffic", 3, "begin", share=0.05)
    add("verdict", 3, "failed", about="shift_to_5_percent", outcome="failed", verdict=verdict)
    add("rolled_back", 3, "back", back_to=2)
    first, second = release_rows(ledger.rows(NAME), [RUN, "another"])
    assert first == {
        "run": RUN,
        "version": "3 (deliberately bad)",
        "arm": "challenger",
        "share": 0.05,
        "rows": 61,
        "verdict": "failed: scores",
    }
    assert (second["arm"], second["share"]) == ("none", 0.0)
    assert second["verdict"] == "rolled back to version 2"


def test_a_state_from_before_the_releases_is_read(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text('{"seconds": 3.0, "months": {}}')
    state = DemoState.load(path)
    state.releases["run"] = ReleaseState(5, 1)
    state.save(path)
    assert DemoState.load(path).releases == {"run": ReleaseState(5, 1)}
