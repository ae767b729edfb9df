"""What the documents point at exists, the README stays short, and the index lists every page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cli.application import COMMANDS
from include.settings import PROJECT_ROOT

DOCS = PROJECT_ROOT / "docs"
PAGES = sorted([*PROJECT_ROOT.glob("*.md"), *DOCS.rglob("*.md")])
OWN_FOLDERS = "include|serving|cli|proofs|plugins|dags|feature_repo|tests|docs"
PATH = re.compile(
    rf"(?<![\w/.<*-])(?:{OWN_FOLDERS})/[\w./<>*-]*?(?:\.(?:py|md|json|proto|svg|png)\b|/(?=[`\s,;:)]))"
)
SCREEN = re.compile(r"^```(?:text|diff)\n.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]\n]*\]\(([^)\s]+)\)")
README_BYTES = 14_000
IMAGE_BYTES = 300_000


def name_of(page: Path) -> str:
    return str(page.relative_to(PROJECT_ROOT))


def paths_in(text: str) -> list[str]:
    """Every own path that a text names; `<name>` in it stands for anything. What a screen shows,
    its reader has made.
    """
    paths = PATH.findall(SCREEN.sub("", text))
    return [re.sub(r"<\w+>", "*", path) for path in paths if "NNNN" not in path]


def anchors_of(page: Path) -> set[str]:
    """The anchors that a Markdown page's headings have."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ +(.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_own_path_that_a_page_names_exists(page):
    missing = [path for path in paths_in(page.read_text()) if not any(PROJECT_ROOT.glob(path))]
    assert not missing, f"{name_of(page)} names what is not there: {missing}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_of_a_page_leads_somewhere(page):
    for link in LINK.findall(page.read_text()):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), f"{name_of(page)}: {link} leads nowhere"
        if anchor:
            assert anchor in anchors_of(target), f"{name_of(page)}: {link} has no such heading"


def test_the_finder_of_paths_sees_what_pages_name():
    text = "`include/a.py`, (`docs/b.md`) in `cli/<name>.py`, `tests/unit/`; not var/x/include/c.py"
    assert paths_in(text) == ["include/a.py", "docs/b.md", "cli/*.py", "tests/unit/"]
    assert paths_in("```text\nWrote include/a.py.\n```\nSee `cli/b.py`.") == ["cli/b.py"]


def test_the_readme_is_short():
    assert (PROJECT_ROOT / "README.md").stat().st_size <= README_BYTES


def test_the_index_lists_every_page_once():
    links = LINK.findall((DOCS / "README.md").read_text())
    listed = [link for link in links if not link.startswith("..")]
    pages = [str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md") if page.name != "README.md"]
    assert sorted(listed) == sorted(pages)


def test_the_picture_files_are_small_and_shown():
    shown = "".join(page.read_text() for page in PAGES)
    for image in (DOCS / "images").glob("*"):
        assert image.stat().st_size < IMAGE_BYTES, f"{name_of(image)} is too large for a clone"
        assert f"images/{image.name}" in shown, f"{name_of(image)} is shown nowhere"


def test_every_command_that_a_page_names_exists():
    text = "".join(page.read_text() for page in PAGES if page.parent.name != "adr")
    assert "-m cli " not in text
    named = set(re.findall(r"\.venv/bin/flightdeck ([a-z][a-z-]*)", text))
    assert len(named) > 5
    assert named <= set(COMMANDS)
