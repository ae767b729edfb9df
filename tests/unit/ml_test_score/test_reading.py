"""What is read from the home's files, from git, and from a real training."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from cli.application import invoke
from include.errors import DataError, RegistryError
from include.ml_test_score.commits import review_of
from include.ml_test_score.junit import read_junit
from include.ml_test_score.model import MODEL_TESTS
from include.ml_test_score.records import JUnitRun
from tests.unit.alarms.samples import settings_in
from tests.unit.ml_test_score.complete import COMMIT
from tests.unit.training.trained import Trainings, trainings

CODE_REVIEW = MODEL_TESTS[0].title
"""Whether files of the checkout under test are as committed is not for its tests to say."""
JUNIT = """<testsuites><testsuite name="pytest">
<properties><property name="commit" value="{commit}"/></properties>
<testcase classname="tests.unit.features.test_a" name="test_kept"/>
<testcase classname="tests.unit.features.test_a" name="test_broken"><failure>no</failure></testcase>
<testcase classname="tests.unit.features.test_a" name="test_lost"><error>no</error></testcase>
<testcase classname="tests.unit.features.test_a" name="test_left_out"><skipped/></testcase>
</testsuite></testsuites>"""


def test_a_run_of_the_tests_counts_for_the_commit_that_it_names(tmp_path):
    settings = settings_in(tmp_path)
    assert read_junit(settings) == ()
    folder = settings.home / "tests"
    folder.mkdir()
    (folder / "unit.xml").write_text(JUNIT.format(commit=COMMIT))
    (folder / "dirty.xml").write_text(JUNIT.format(commit=f"{COMMIT}-dirty"))
    (folder / "nameless.xml").write_text("<testsuites><testsuite/></testsuites>")
    at = "tests.unit.features.test_a::"
    assert read_junit(settings) == (
        JUnitRun("unit.xml", COMMIT, (f"{at}test_kept",), (f"{at}test_broken", f"{at}test_lost")),
    )


def test_a_file_that_is_none_is_named(tmp_path):
    settings = settings_in(tmp_path)
    (settings.home / "tests").mkdir(parents=True)
    (settings.home / "tests" / "unit.xml").write_text("<testsuites>")
    with pytest.raises(DataError, match=r"unit\.xml is no JUnit file"):
        read_junit(settings)


def git(root: Path, *arguments: str, author: str = "ann") -> str:
    identity = ["-c", f"user.name={author}", "-c", f"user.email={author}@example.org"]
    command = ["git", "-C", str(root), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet", "--initial-branch", "main")
    git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", "First")
    return tmp_path


def head(checkout: Path) -> str:
    return git(checkout, "rev-parse", "HEAD")


def test_whom_trailers_name_has_reviewed_and_an_author_no_commit_of_their_own(checkout):
    alone = review_of(head(checkout), checkout)
    assert alone is not None
    assert alone.reviewers == ()
    message = "Second\n\nReviewed-by: Bob <bob@example.org>\nAcked-by: Ann <ann@example.org>"
    git(checkout, "commit", "--quiet", "--allow-empty", "--message", message)
    seen = review_of(head(checkout), checkout)
    assert seen is not None
    assert seen.reviewers == ("Bob <bob@example.org>",)
    assert seen.committed_at.tzinfo is not None


@pytest.mark.parametrize(("by", "reviewers"), [("bob", ("bob@example.org",)), ("ann", ())])
def test_who_merges_what_another_wrote_has_seen_it(checkout, by, reviewers):
    git(checkout, "checkout", "--quiet", "-b", "change")
    git(checkout, "commit", "--quiet", "--allow-empty", "--message", "Change")
    changed = head(checkout)
    git(checkout, "checkout", "--quiet", "main")
    git(checkout, "merge", "--quiet", "--no-ff", "--message", "Merge", "change", author=by)
    review = review_of(changed, checkout)
    assert review is not None
    assert review.reviewers == reviewers


def test_a_commit_that_git_does_not_have_has_no_review(checkout, tmp_path_factory):
    assert review_of("5" * 40, checkout) is None
    assert review_of("unknown", checkout) is None
    assert review_of(head(checkout), tmp_path_factory.mktemp("no checkout")) is None


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Trainings:
    return trainings(tmp_path_factory.getbasetemp() / "trained")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:feast")
class TestOfARealTraining:
    def score(self, world, capsys, *arguments):
        code = invoke(["ml-test-score", "flight_delays", *arguments], world.settings)
        return code, capsys.readouterr()

    def test_the_champion_has_points_for_what_its_training_left(self, world, capsys):
        code, out = self.score(world, capsys, "--json")
        assert code == 0
        score = json.loads(out.out)
        given = {
            f"{test['section']} {test['number']}": test["points"]
            for test in score["tests"]
            if test["points"] and test["title"] != CODE_REVIEW
        }
        assert score["version"] == 1
        # Trained and judged, never released nor monitored.
        assert given == {
            "data 1": 1.0,
            "data 2": 0.5,
            "data 3": 0.5,
            "data 4": 1.0,
            "data 5": 0.5,
            "model 3": 1.0,
            "model 5": 1.0,
            "model 6": 1.0,
            "model 7": 1.0,
            "infrastructure 4": 1.0,
            "infrastructure 5": 1.0,
            "monitoring 2": 0.5,
            "monitoring 5": 1.0,
        }
        assert score["score"] == 1.5

    def test_people_read_what_is_on_record_and_what_would_raise_it(
        self, world, capsys, monkeypatch
    ):
        monkeypatch.setenv("COLUMNS", "80")
        code, out = self.score(world, capsys, "1")
        assert code == 0
        assert "ML Test Score of flight_delays/1: 1.5" in out.out
        assert "flightdeck reproduce flight_delays 1" in " ".join(out.out.split())

    def test_a_version_that_is_none_is_told_with_those_that_are(self, world, capsys):
        with pytest.raises(RegistryError, match="no version 7; registered are: 1"):
            self.score(world, capsys, "7")
