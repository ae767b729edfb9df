"""The endpoint's own numbers of an interval against their declared limits."""

from dataclasses import replace
from typing import Any

import pytest

from include.monitoring.checks.efficiency import efficiency
from include.spec import ServingLimits
from tests.unit.monitoring.checks.windows import refused, window

QUIET: dict[str, Any] = {
    "reachable": True,
    "problem": None,
    "requests": 5000.0,
    "server_errors": 3.0,
    "client_errors": 900.0,
    "total_p99_ms": 40.0,
    "memory_bytes": 600e6,
    "cpu_share": 0.4,
    "rows_per_second": 95.0,
}
LIMITS = {"max_memory_megabytes": 1000.0, "max_processors": 1.5, "max_throughput_drop": 0.5}
FAULTS = {
    "error_share": {"server_errors": 51.0},
    "p99_milliseconds": {"total_p99_ms": 1000.1},
    "memory_megabytes": {"memory_bytes": 1001e6},
    "processors": {"cpu_share": 1.6},
    "throughput": {"rows_per_second": 49.0},
}


def judged(*, limits: dict[str, Any] | None = None, before=(90.0, 100.0, 900.0), **row: Any):
    base = window()
    serving = ServingLimits(**(LIMITS if limits is None else limits))
    monitoring = base.limits.model_copy(update={"serving": serving})
    operation = {**QUIET, **row}
    return efficiency(
        replace(base, limits=monitoring, operation=operation, throughput_before=before)
    )


def test_a_quiet_interval_passes_every_limit():
    findings = judged()
    assert [item.rule for item in findings] == list(FAULTS)
    assert {item.outcome for item in findings} == {"passed"}


@pytest.mark.parametrize("rule", FAULTS)
def test_each_limit_refuses_its_own_fault_and_no_other(rule):
    findings = judged(**FAULTS[rule])
    assert refused(findings) == [(rule, "")]
    (finding,) = [item for item in findings if not item.passed]
    assert "limit" in finding.reason


def test_what_callers_did_wrong_is_no_error_of_the_endpoint():
    assert refused(judged(client_errors=4999.0)) == []


def test_without_limits_of_the_machine_it_is_not_judged():
    assert [item.rule for item in judged(limits={})] == ["error_share", "p99_milliseconds"]


def test_few_requests_are_not_judged_and_the_machine_is():
    findings = judged(requests=999.0, server_errors=999.0, memory_bytes=2e9)
    assert refused(findings) == [("memory_megabytes", "")]
    assert [item.rule for item in findings if not item.judged] == ["minimum_requests"]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"reachable": False, "problem": "refused."}, "the endpoint did not answer: refused"),
        ({"total_p99_ms": None}, "the endpoint's metrics do not tell it"),
        ({"rows_per_second": None}, "no interval before to compare with"),
    ],
)
def test_what_was_not_seen_is_not_judged(row, why):
    assert [item.reason for item in judged(**row) if not item.judged] == [why]


def test_a_first_interval_has_nothing_to_compare_with():
    assert [item.rule for item in judged(before=()) if not item.judged] == ["throughput"]


def test_nothing_is_judged_where_nothing_is_recorded():
    (finding,) = efficiency(window())
    assert (finding.rule, finding.outcome) == ("sampled", "not judged")
