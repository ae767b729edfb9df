"""The DAG processor's forks find the shared code loaded, and never code that the disk no longer
has.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap

import pytest

from cli.platform.environment import process_environment
from include.settings import PROJECT_ROOT
from plugins.loaded_code import state_of

PROGRAM = """
import json, sys
from pathlib import Path
from plugins import loaded_code
from plugins.loaded_code import LoadedCode
from include.settings import PROJECT_ROOT

def there():
    return [name in sys.modules for name in ("dags.factories", "include.spec", "polars")]

def first_factories():
    return id(sys.modules["dags.factories"])

code, answers = LoadedCode(), {}
code.load(PROJECT_ROOT)
answers["loaded"], once = there(), first_factories()
answers["serialised"] = "airflow.providers.standard.operators.trigger_dagrun" in sys.modules
code.load(PROJECT_ROOT)
code.renew(PROJECT_ROOT)
answers["not again"] = first_factories() == once
code.renew(Path(sys.argv[1]))
answers["changed"] = there()
loaded_code.FACTORIES = "dags.factories.no_such_module"
code = LoadedCode()
code.load(PROJECT_ROOT)
answers["broken"] = there()
print(json.dumps(answers))
"""


@pytest.mark.slow
def test_shared_code_is_loaded_once_and_forgotten_where_the_disk_has_other_files(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), str(tmp_path)],
        cwd=PROJECT_ROOT,
        env=process_environment({"FLIGHTDECK_HOME": str(tmp_path)}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout.splitlines()[-1])
    assert answers == {
        "loaded": [True, True, True],
        "serialised": True,
        "not again": True,
        "changed": [False, False, True],
        "broken": [False, False, True],
    }, "libraries stay, our own code is forgotten whole"


def test_every_change_of_shared_code_is_another_state_and_one_of_a_use_case_is_none(tmp_path):
    module = tmp_path / "include" / "deep" / "module.py"
    for folder in ("include/deep", "include/use_cases/a", "dags/factories", "plugins"):
        (tmp_path / folder).mkdir(parents=True)
    module.write_text("A = 1\n")
    states = [state_of(tmp_path)]

    def changed() -> bool:
        states.append(state_of(tmp_path))
        return states[-1] not in states[:-1]

    module.write_text("A = 22\n")
    assert changed(), "its size"
    os.utime(module, ns=(1, 1))
    assert changed(), "its time"
    (tmp_path / "plugins" / "new.py").write_text("")
    assert changed(), "a new file"
    module.unlink()
    assert changed(), "one that is gone"
    (tmp_path / "include" / "use_cases" / "a" / "spec.py").write_text("")
    assert not changed()
