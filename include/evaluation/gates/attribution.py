"""The gate on reasons: what makes the scores, by exact TreeSHAP contributions on test rows."""

from __future__ import annotations

from include.evaluation.attributions import attribution_summary
from include.evaluation.gates.base import TEST, GateInput
from include.verdict import Finding, at_most

GATE = "attribution"


def attribution(candidate: GateInput) -> list[Finding]:
    """No input has more than `max_attribution_share` of all contributions, no forbidden one more
    than `max_forbidden_share`.

    An input's share is its mean absolute contribution (log odds) over the sum of all inputs'. A
    forbidden input that the model does not have at all is no refusal.
    """
    limits = candidate.limits
    if candidate.model is None or candidate.test is None or candidate.test.height == 0:
        reason = candidate.problem or "the candidate cannot be scored"
        return [
            Finding(
                rule=GATE,
                metric="largest_share",
                subject=TEST,
                limit=limits.max_attribution_share,
                passed=False,
                reason=reason,
            )
        ]
    summary_rows = attribution_summary(
        candidate.model, candidate.model.transform.apply_frame(candidate.test)
    )
    shares = {str(row["input"]): float(row["share"]) for row in summary_rows}
    largest = max(shares, key=lambda name: shares[name])
    bound = limits.max_forbidden_share
    forbidden = [
        at_most(GATE, "forbidden_share", bound, shares.get(name, 0.0), subject=TEST, part=name)
        for name in limits.forbidden_inputs
    ]
    return [
        at_most(
            GATE,
            "largest_share",
            limits.max_attribution_share,
            shares[largest],
            subject=TEST,
            part=largest,
        ),
        *forbidden,
    ]


ATTRIBUTION_GATES = (attribution,)
