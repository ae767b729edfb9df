"""The command `bundle`: pipelines that are built, kept, deployed and taken back like software."""

from __future__ import annotations

from cli.bundles import archives, releases
from cli.lazy import new_application

application = new_application(
    no_args_is_help=True,
    epilog="Examples: bundle build --push; bundle inspect 3f9a27; bundle deploy 3f9a27"
    " --to staging; bundle status; bundle rollback --reason 'wrong totals'",
)


@application.callback()
def _bundle() -> None:
    """Build, keep, deploy and take back whole pipelines as signed bundles."""


for name, function in (
    ("build", archives.build_bundle),
    ("inspect", archives.inspect_bundle),
    ("verify", archives.verify_bundle),
    ("push", archives.push_bundle),
    ("list", archives.list_bundles),
    ("deploy", releases.deploy_bundle),
    ("rollback", releases.roll_back_bundle),
    ("status", releases.show_status),
):
    application.command(name)(function)
