"""Which checks monitoring asks, by name.

A new check is a file of this folder and a line here; it needs no other place.
"""

from __future__ import annotations

from collections.abc import Mapping

from include.monitoring.checks.attribution import ATTRIBUTION, attribution
from include.monitoring.checks.base import Check, Window
from include.monitoring.checks.distribution import DISTRIBUTION, distribution
from include.monitoring.checks.effectiveness import EFFECTIVENESS, effectiveness
from include.monitoring.checks.efficiency import EFFICIENCY, efficiency
from include.monitoring.checks.estimate import ESTIMATE, estimate
from include.monitoring.checks.fairness import FAIRNESS, fairness
from include.monitoring.checks.kind_of_change import KIND_OF_CHANGE, kind_of_change
from include.monitoring.checks.multivariate import MULTIVARIATE, multivariate
from include.monitoring.checks.novelty import NOVELTY, novelty
from include.monitoring.checks.schema_skew import SCHEMA_SKEW, schema_skew
from include.verdict import Finding

CHECKS: Mapping[str, Check] = {
    SCHEMA_SKEW: schema_skew,
    DISTRIBUTION: distribution,
    MULTIVARIATE: multivariate,
    NOVELTY: novelty,
    ATTRIBUTION: attribution,
    FAIRNESS: fairness,
    EFFECTIVENESS: effectiveness,
    ESTIMATE: estimate,
    KIND_OF_CHANGE: kind_of_change,
    EFFICIENCY: efficiency,
}
"""The checks in the order in which a report shows them."""


def run_checks(window: Window, checks: Mapping[str, Check] = CHECKS) -> list[Finding]:
    """The findings of all checks."""
    return [finding for check in checks.values() for finding in check(window)]
