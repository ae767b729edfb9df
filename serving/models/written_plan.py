"""The plan of a use case that is written down, as a slot looks at it."""

from __future__ import annotations

from include.errors import FlightdeckError
from include.release.plan import IssuedPlan, former_path, plan_path, read_issued
from include.settings import Settings
from serving.models.standing import Standing


class WrittenPlan:
    """Reads the plan and sees when it changes."""

    def __init__(self, settings: Settings, use_case: str) -> None:
        self._settings = settings
        self._use_case = use_case

    def read(self) -> IssuedPlan | None:
        """The plan, None where there is none; raises what `read_issued` does."""
        return read_issued(self._settings, self._use_case)

    def stamp(self) -> tuple[int, int, str] | None:
        """What changes with the file that is followed; None while there is none."""
        for path in (
            plan_path(self._settings, self._use_case),
            former_path(self._settings, self._use_case),
        ):
            try:
                status = path.stat()
            except OSError:
                continue
            return status.st_mtime_ns, status.st_ino, path.name
        return None

    def withdraws(self, recorded: IssuedPlan) -> bool:
        """Say whether every version has been taken out of service since a plan was recorded."""
        written = self._read_safely()
        return written is not None and not written.plan.arms and written.order >= recorded.order

    def differs_from(self, standing: Standing | None) -> bool:
        """Say whether it can be read, names versions, and is another than what stands."""
        plan = None if (written := self._read_safely()) is None else written.plan
        return (
            plan is not None
            and bool(plan.arms)
            and (standing is None or plan != standing.issued.plan)
        )

    def _read_safely(self) -> IssuedPlan | None:
        try:
            return self.read()
        except (FlightdeckError, OSError):
            return None
