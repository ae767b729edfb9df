"""Pipelines of a few lines, as bundles: each is tried by its own command line, as a real one is."""

import json
import textwrap

from include.bundles.archive import read_bundle, trusted_keys
from tests.unit.bundles.made import FILES, tiny_bundle

ACCEPTED = [{"title": "tiny answers", "state": "accepted", "by": [], "reasons": []}]
REFUSED = [
    {"title": "training", "state": "refused", "by": ["check_gates"], "reasons": ["AUC is 0.4."]}
]


def pipeline(settings, *, outcomes=ACCEPTED, code=0, before="", **more):
    """A bundle whose end-to-end run leaves the outcomes and ends with the code, after the lines of
    Python in `before`.
    """
    program = textwrap.dedent(
        """
        import json, os, sys
        arguments = sys.argv[1:]
        {before}
        if arguments[0] == "smoke":
            with open(arguments[arguments.index("--report") + 1], "w") as file:
                json.dump({outcomes}, file)
            sys.exit({code})
        print(arguments[0], "by", os.path.dirname(os.path.dirname(__file__)))
        """
    ).format(before=before, outcomes=json.dumps(outcomes), code=code)
    files = {**FILES, "cli/__init__.py": b"", "cli/__main__.py": program.encode(), **more}
    return tiny_bundle(settings, files=files)


def taken_by(bundle, settings):
    """The bundle as a home reads it that trusts its own key alone."""
    return read_bundle(bundle.archive, "it", trusted_keys(settings))
