"""A bundle is taken only as it was built, and only from whom the home trusts."""

import io
import random
import tarfile

import pytest

from include.bundles.archive import MOST_BYTES, read_bundle, trusted_keys
from include.bundles.manifest import MANIFEST, SIGNATURE
from include.errors import BundleError, FlightdeckError, SignatureError
from include.model.signing import public_key
from tests.unit.bundles.made import FILES, home_of, tiny_bundle


@pytest.fixture
def home(tmp_path):
    return home_of(tmp_path / "home")


def test_what_was_built_is_read_again(home):
    bundle = tiny_bundle(home)
    again = read_bundle(bundle.archive, "it", trusted_keys(home))
    assert again == bundle
    assert again.files == FILES
    with tarfile.open(fileobj=io.BytesIO(bundle.archive)) as archive:
        assert archive.getnames() == [MANIFEST, SIGNATURE, *sorted(FILES)]
        assert archive.getmember("bin/run").mode == 0o755
        assert {entry.mtime for entry in archive} == {0}


def test_the_same_files_give_the_same_bytes_in_whatever_order(home):
    backwards = dict(reversed(FILES.items()))
    assert tiny_bundle(home, files=backwards).archive == tiny_bundle(home).archive


def test_other_contents_are_another_version(home):
    version = tiny_bundle(home).version
    assert tiny_bundle(home, files={**FILES, "dags/tiny.py": b"dag"}).version != version
    assert tiny_bundle(home, images={"step": f"here/step@sha256:{'0' * 64}"}).version != version
    assert tiny_bundle(home, specifications={"tiny": "e" * 64}).version != version


def test_a_byte_that_is_not_as_built_is_refused_wherever_it_is(home):
    """Every byte of the first block, and a thousand at random: lists, files, headers, padding."""
    content, keys = tiny_bundle(home).archive, trusted_keys(home)
    places = [*range(512), *random.Random(5).sample(range(len(content)), 1000)]
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        with pytest.raises((BundleError, SignatureError)):
            read_bundle(bytes(damaged), "it", keys)


def test_a_bundle_that_is_cut_off_or_goes_on_is_refused(home):
    content, keys = tiny_bundle(home).archive, trusted_keys(home)
    for other in (b"", content[:100], content[: len(content) // 2], content[:-1], content + b"\0"):
        with pytest.raises((BundleError, SignatureError)):
            read_bundle(other, "it", keys)


def test_a_bundle_without_a_signature_is_refused(home):
    bundle = tiny_bundle(home)
    unsigned = _with_members(bundle, {MANIFEST: bundle.manifest.content, **FILES})
    with pytest.raises(SignatureError, match=r"it is not signed.*flightdeck bundle build"):
        read_bundle(unsigned, "it", trusted_keys(home))


def test_a_bundle_signed_by_somebody_else_is_refused_until_the_key_is_trusted(home, tmp_path):
    other = home_of(tmp_path / "other")
    bundle = tiny_bundle(other)
    tiny_bundle(home)
    with pytest.raises(SignatureError, match=r"signed by none of the keys.*keys/trusted"):
        read_bundle(bundle.archive, "it", trusted_keys(home))
    trusted = home.keys_dir / "trusted" / "builder.pem"
    trusted.parent.mkdir()
    trusted.write_bytes(public_key(other).read_bytes())
    assert read_bundle(bundle.archive, "it", trusted_keys(home)) == bundle


def test_a_home_without_a_key_trusts_nobody(home, tmp_path):
    content = tiny_bundle(home).archive
    empty = home_of(tmp_path / "empty")
    with pytest.raises(SignatureError, match=r"there is no public key.*keys/trusted"):
        read_bundle(content, "it", trusted_keys(empty))


def test_the_signature_of_another_bundle_does_not_hold(home):
    bundle, other = tiny_bundle(home), tiny_bundle(home, commit="a" * 40)
    with tarfile.open(fileobj=io.BytesIO(other.archive)) as archive:
        signature = archive.extractfile(SIGNATURE).read()
    members = {MANIFEST: bundle.manifest.content, SIGNATURE: signature, **FILES}
    with pytest.raises(SignatureError, match="signed by none"):
        read_bundle(_with_members(bundle, members), "it", trusted_keys(home))


@pytest.mark.parametrize("name", ["../out.py", "/etc/out.py", "include/../../out.py"])
def test_a_file_that_would_lie_elsewhere_is_refused(home, name):
    with pytest.raises(ValueError, match="no name of a file in a bundle"):
        tiny_bundle(home, files={**FILES, name: b"x"})


def test_what_is_no_bundle_is_said_to_be_none(home):
    keys = trusted_keys(home)
    for content in (b"PK\x03\x04 a zip", _with_members(None, {"other.txt": b"x"})):
        with pytest.raises(FlightdeckError, match=r"no whole bundle|holds no bundle\.json"):
            read_bundle(content, "it", keys)
    with pytest.raises(BundleError, match="is no bundle of Flightdeck"):
        read_bundle(bytes(MOST_BYTES + 1), "it", keys)


def _with_members(bundle, members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
