from include.release.analysis.registry import QUESTIONS, ReleaseVerdict
from include.spec import Shadow
from tests.unit.release.analysis.windows import challenger, champion, verdict


def test_an_identical_challenger_passes_with_a_finding_per_question():
    judged = verdict()
    assert judged.outcome == "passed"
    assert judged.accepted
    assert {"measured_arms", "enough_rows", "errors", "fallbacks", "latency", "scores"} <= {
        finding.rule for finding in judged.findings
    }
    assert len(QUESTIONS) == len(set(QUESTIONS)) == 11


def test_one_refusal_fails_the_whole_and_all_questions_are_put():
    judged = verdict(champion(), challenger(errors=400, slow=400))
    assert judged.outcome == "failed"
    assert {finding.rule for finding in judged.refused} == {"errors", "latency"}


def test_a_verdict_comes_back_from_json_and_is_decided_anew():
    judged = verdict(champion(), challenger(errors=400))
    content = {**judged.model_dump(mode="json"), "outcome": "passed", "accepted": True}
    again = ReleaseVerdict.model_validate(content)
    assert again == judged
    assert again.outcome == "failed"


def test_a_shadow_is_judged_by_its_pairs():
    judged = verdict(champion(2000, 1.0), challenger(2000, 0.0, role="shadow"), strategy=Shadow())
    assert judged.outcome == "inconclusive"
    assert [finding.rule for finding in judged.undecided] == ["disagreement"]
