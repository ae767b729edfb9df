"""Tables that people read: whole at every width, as a table where there is room and as blocks of
lines where there is none.
"""

from __future__ import annotations

import pytest

from cli.tables import print_facts, print_table

SENTENCE = "refused because the model's file was changed after its evaluation [digest 12/34]"
HEADINGS = ("case", "gate", "reason")


def printed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_no_row_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("Cases", HEADINGS, [], nothing="none yet", prose=("reason",))
    assert printed(capsys) == ["Cases: none yet"]


@pytest.mark.parametrize("columns", [60, 80, 120, 170])
def test_prose_is_whole_and_no_line_is_too_long(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    rows = [("tampered artefact", "check_gates: evaluated_object", f"{SENTENCE}, {SENTENCE}")]
    print_table("Cases", HEADINGS, rows, prose=("reason",))
    lines = printed(capsys)
    assert all(len(line) <= columns for line in lines)
    words = " ".join(" ".join(lines).split()).replace("reason ", "")
    for word in SENTENCE.split():
        assert words.count(f" {word}") >= 2
    assert (len([line for line in lines if "case" in line]) == 1) == (columns >= 120)


def test_a_file_may_be_told_how_wide_its_lines_are(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    rows = [("tampered artefact", "check_gates: evaluated_object", f"{SENTENCE}, {SENTENCE}")]
    print_table("Cases", HEADINGS, rows, prose=("reason",))
    assert max(map(len, printed(capsys))) > 80
    print_table("Cases", HEADINGS, rows, prose=("reason",), file_width=80)
    assert max(map(len, printed(capsys))) <= 80


def test_the_lines_of_a_folded_sentence_begin_below_each_other(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    print_table("Cases", HEADINGS, [("a case", None, SENTENCE)], prose=("reason",))
    title, case, first, *others = printed(capsys)
    assert (title, case) == ("Cases", "  a case")
    assert first.startswith("    reason  refused")
    assert {line[:12] for line in others} == {" " * 12}
    assert all(line[12] != " " for line in others)


def test_a_word_that_is_longer_than_a_line_is_not_broken(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    path = f"/home/somebody/{'a-folder/' * 8}model.ubj"
    print_table("Cases", HEADINGS, [("a case", "a gate", f"see {path}")], prose=("reason",))
    assert sum(path in line for line in printed(capsys)) == 1


def test_what_is_no_prose_is_shortened(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("Cases", ("case", "reason"), [("one", SENTENCE)])
    assert "refused because the model's file was chan..." in "\n".join(printed(capsys))


def test_a_value_is_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("Cases", ("case", "seen"), [("[bold]one[/bold]", "[/]")])
    assert "[bold]one[/bold]  [/]" in "\n".join(printed(capsys))


def test_a_long_name_of_a_fact_is_set_apart_from_its_value(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_facts("Decision", {"Answer": "no", "Why this version": "it served", "Empty": ""})
    assert capsys.readouterr().out.splitlines()[1:] == [
        "  Answer            no",
        "  Why this version  it served",
        "  Empty             -",
    ]
    print_facts("Nothing", {})
    assert capsys.readouterr().out == "Nothing\n"
