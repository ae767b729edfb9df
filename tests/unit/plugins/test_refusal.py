from __future__ import annotations

import logging

from airflow.sdk.definitions.retry_policy import RetryAction

from plugins.refusal import (
    FINAL,
    LINE_CHARACTERS,
    MOST_REASONS,
    Refusal,
    log_lines,
    refusal,
    shortened,
)


def test_a_refusal_is_told_in_short_lines_before_it_is_raised(caplog):
    reasons = [f"reason {number}\nof {'word ' * 80}" for number in range(MOST_REASONS + 3)]
    with caplog.at_level(logging.ERROR):
        raised = refusal(logging.getLogger("task"), "The data is refused for 15 reasons.", reasons)
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0] == raised.code == "The data is refused for 15 reasons."
    assert lines[1].startswith(" 1. reason 0 of word")
    assert lines[2].startswith("    word")
    assert lines[3].endswith(" ...")
    assert lines[-1] == "3 more in the task's result (XCom)."
    assert len(lines) == 3 * MOST_REASONS + 2
    assert all(len(line) <= LINE_CHARACTERS and "\n" not in line for line in lines)


def test_a_refusal_is_not_tried_again_and_anything_else_is():
    decided = FINAL.evaluate(exception=Refusal("no"), try_number=1, max_tries=3)
    assert decided.action is RetryAction.FAIL
    for error in (OSError("the disk"), SystemExit(1)):
        other = FINAL.evaluate(exception=error, try_number=1, max_tries=3)
        assert other.action is RetryAction.DEFAULT


def test_a_short_text_stays_whole():
    assert shortened("two\n words", 20) == "two words"
    assert log_lines("two\n words") == ["two words"]
    assert shortened("x" * 20, 10) == "xxxxxxx..."
