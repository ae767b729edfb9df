"""What runs is what was built: the files of a version, whole or not at all."""

import threading

import pytest

from include.bundles.unpacked import archive_path, difference, unpack, version_root
from include.errors import BundleError
from tests.unit.bundles.made import FILES, home_of, tiny_bundle


@pytest.fixture
def home(tmp_path):
    return home_of(tmp_path / "home")


def test_a_bundle_is_unpacked_under_its_version(home):
    bundle = tiny_bundle(home)
    root = unpack(home, bundle)
    assert root == home.pipelines_dir / "versions" / bundle.version
    assert {name: (root / name).read_bytes() for name in FILES} == FILES
    assert (root / "bin/run").stat().st_mode & 0o777 == 0o555
    assert difference(root, bundle.version) is None
    assert unpack(home, bundle) == root


def test_what_python_compiles_there_is_no_difference(home):
    bundle = tiny_bundle(home)
    cache = unpack(home, bundle) / "include" / "__pycache__"
    cache.mkdir()
    (cache / "a.cpython-311.pyc").write_bytes(b"x")
    assert difference(cache.parents[1], bundle.version) is None


@pytest.mark.parametrize("change", ["changed", "missing", "added", "other list"])
def test_files_that_were_changed_are_named_and_unpacked_again(home, change):
    bundle = tiny_bundle(home)
    root = unpack(home, bundle)
    path = root / "dags" / ("evil.py" if change == "added" else "tiny.py")
    if change == "other list":
        path = root / "bundle.json"
    if change == "missing":
        path.unlink()
    else:
        path.unlink(missing_ok=True)
        path.write_text("import os\n")
    assert path.name in (difference(root, bundle.version) or "")
    assert version_root(home, bundle.version) == root
    assert difference(root, bundle.version) is None
    assert not (root / "dags" / "evil.py").exists()


def test_an_archive_that_is_gone_or_damaged_is_told(home):
    bundle = tiny_bundle(home)
    (unpack(home, bundle) / "dags" / "evil.py").write_text("")
    archive = archive_path(home, bundle.version)
    archive.write_bytes(bundle.archive[:-1])
    with pytest.raises(BundleError, match="damaged"):
        version_root(home, bundle.version)
    archive.unlink()
    with pytest.raises(BundleError, match=r"is gone.*Deploy it again"):
        version_root(home, bundle.version)


def test_two_that_unpack_at_once_leave_one_whole_version(home):
    bundle, at_once, roots = tiny_bundle(home), threading.Barrier(4), []

    def work():
        at_once.wait()
        roots.append(unpack(home, bundle))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(roots) == 4
    assert difference(roots[0], bundle.version) is None
    assert [path.name for path in roots[0].parent.iterdir()] == [bundle.version]
