"""Whatever is changed, added or taken away of an archive is named, by the archive alone."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from pathlib import Path

import pytest

from cli.application import run
from include.errors import EvidenceError
from include.evidence.archive import packed
from include.evidence.records import RecordFile
from include.evidence.releases import LEDGER_FILE
from include.evidence.verify import verify
from include.model.signing import public_key
from include.release.ledger import Ledger
from include.release.ledger.export import export_document
from proofs.harness.home import home_settings
from tests.unit.evidence.subject import DIGEST, NAME, NOW, members

KINDS = ("index.html", "a/record.json", "a/rows.csv", "a/plot.png", LEDGER_FILE)


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[bytes, Path]:
    """An archive with a file of each form and a ledger, and the public key of its house."""
    home = home_settings(tmp_path_factory.mktemp("evidence") / "home")
    ledger = Ledger(home)
    for event in ("registered", "promoted"):
        ledger.append(event, NAME, 1, DIGEST, "ada", "because", {})
    ledger.append("promoted", "other", 1, DIGEST, "bob", "because", {})
    document = export_document(ledger, NAME, NOW)
    contents = (b"<p>page</p>", b'{"a": 1}', b"a,b\n1,2\n", bytes(range(256)))
    files = [
        RecordFile(name, content, "test") for name, content in zip(KINDS[:4], contents, strict=True)
    ]
    files.append(RecordFile(LEDGER_FILE, json.dumps(document).encode(), "ledger"))
    about = {
        "use_case": NAME,
        "version": 1,
        "period_text": "ever",
        "collected_at": NOW.isoformat(),
        "collected_by": "ada",
        "ledger_head": document["head"],
    }
    content, _ = packed(home, about, files)
    key = tmp_path_factory.mktemp("key") / "signing.pub.pem"
    shutil.copy(public_key(home), key)
    again, _ = packed(home, about, files[::-1])
    assert again == content, "the same records give the same bytes"
    shutil.rmtree(home.home)
    return content, key


@pytest.fixture
def names_of(made, tmp_path):
    """The files that a changed archive is refused for."""

    def names(content: bytes, key: Path | None = made[1]) -> set[str]:
        path = tmp_path / "changed.zip"
        path.write_bytes(content)
        return {item.subject for item in verify(path, key).verdict.refused}

    return names


def test_a_whole_archive_holds_without_its_home(made, tmp_path, capsys):
    path = tmp_path / "evidence.zip"
    path.write_bytes(made[0])
    checked = verify(path, made[1])
    assert (checked.verdict.accepted, checked.ledger_rows, checked.trusted) == (True, 3, True)
    assert run(["evidence", "verify", str(path), "--public-key", str(made[1])]) == 0
    assert "name yours with --public-key" not in capsys.readouterr().out
    assert run(["evidence", "verify", str(path)]) == 0
    assert "name yours with --public-key" in capsys.readouterr().out


@pytest.mark.parametrize("name", KINDS)
def test_a_file_of_each_kind_that_was_changed_or_taken_away_is_named(made, names_of, name):
    files = members(made[0])
    changed = {**files, name: files[name].replace(b"a", b"b", 1) + b" "}
    assert names_of(zipped(changed)) == {name}
    del changed[name]
    assert names_of(zipped(changed)) == {name}


def test_a_file_that_was_added_is_named_and_the_command_fails(made, names_of, tmp_path, capsys):
    content = zipped({**members(made[0]), "b/more.json": b"{}"})
    assert names_of(content) == {"b/more.json"}
    path = tmp_path / "changed.zip"
    assert run(["evidence", "verify", str(path)]) == 1
    assert "b/more.json was added" in " ".join(capsys.readouterr().out.split())


def test_a_manifest_that_was_made_to_fit_is_not_signed(made, names_of):
    files = members(made[0])
    manifest = json.loads(files["manifest.json"])
    manifest["version"] = 2
    assert names_of(zipped({**files, "manifest.json": json.dumps(manifest).encode()})) == {
        "manifest.json"
    }
    without = {name: content for name, content in files.items() if name != "signature.json"}
    assert names_of(zipped(without)) == {"signature.json"}
    for content in (b"{}", b"[]", b"\xff", files["signature.json"].replace(b"}", b', "a": 1}')):
        assert names_of(zipped({**files, "signature.json": content})) == {"signature.json"}


def test_an_archive_of_another_house_is_whole_and_not_of_ours(made, names_of, tmp_path):
    other = home_settings(tmp_path / "other")
    files = [
        RecordFile(name, content, "test")
        for name, content in members(made[0]).items()
        if name not in ("manifest.json", "signature.json")
    ]
    head = json.loads(members(made[0])[LEDGER_FILE])["head"]
    forged, _ = packed(other, {"ledger_head": head}, files)
    assert names_of(forged, None) == set()
    assert names_of(forged) == {"manifest.json", "signature.json"}


def test_a_ledger_that_was_shortened_does_not_hold_though_the_archive_is_signed(made, tmp_path):
    home = home_settings(tmp_path / "home")
    files = members(made[0])
    ledger = json.loads(files[LEDGER_FILE])
    short = {**ledger, "rows": ledger["rows"][:-1]}
    for document, head in ((short, ledger["head"]), (ledger, {**ledger["head"], "number": 2})):
        record = RecordFile(LEDGER_FILE, json.dumps(document).encode(), "ledger")
        content, _ = packed(home, {"ledger_head": head}, [record])
        path = tmp_path / "ledger.zip"
        path.write_bytes(content)
        (item,) = verify(path).verdict.refused
        assert item.subject == LEDGER_FILE
    content, _ = packed(home, {"ledger_head": ledger["head"]}, [])
    path.write_bytes(content)
    (item,) = verify(path).verdict.refused
    assert item.rule == "missing"


def test_flipped_bits_bytes_around_and_second_copies_are_found(made, names_of):
    content = made[0]
    place = content.index(b"a/rows.csv") + len(b"a/rows.csv") + 2
    flipped = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
    assert names_of(flipped) == {"a/rows.csv"}
    for around in (b"x" + content, content[:-2] + b"\x03\x00abc"):
        (name,) = names_of(around)
        assert name.endswith("changed.zip")
    buffer = io.BytesIO(content)
    with zipfile.ZipFile(buffer, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("a/rows.csv", b"other")
    assert "a/rows.csv" in names_of(buffer.getvalue())


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"nothing", "is no archive of evidence, or is cut off"),
        (zipped({"a.txt": b"a"}), "manifest.json is missing or damaged"),
        (zipped({"manifest.json": b'{"format": "x", "files": {}}'}), "its format is 'x'; valid"),
    ],
)
def test_what_is_no_archive_is_told(tmp_path, content, text):
    path = tmp_path / "file.zip"
    path.write_bytes(content)
    with pytest.raises(EvidenceError, match=text):
        verify(path)


def test_a_file_or_key_that_is_not_there_is_told(made, tmp_path):
    with pytest.raises(EvidenceError, match=r"nowhere\.zip cannot be read"):
        verify(tmp_path / "nowhere.zip")
    path = tmp_path / "evidence.zip"
    path.write_bytes(made[0])
    with pytest.raises(EvidenceError, match=r"nowhere\.pem cannot be read"):
        verify(path, tmp_path / "nowhere.pem")


def test_two_records_of_one_name_are_refused(tmp_path):
    twice = [RecordFile("a", b"1", "t"), RecordFile("a", b"2", "t")]
    with pytest.raises(EvidenceError, match=r"\['a'\] would be twice"):
        packed(home_settings(tmp_path / "home"), {}, twice)
