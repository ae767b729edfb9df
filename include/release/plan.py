"""The plan of a use case's traffic: which versions answer, each at which share, and which one is
only compared.

    <serving_dir>/<use_case>/plan.json    {"plan", "revision", "signature"}

Where hosts share the model store the plan lies there (`include.release.shared.objects`), ordered by
conditional puts, and that file is what an endpoint of this host has brought of it.

The release decides it and writes it down signed; every endpoint process follows it. Its sequence is
the number of the ledger's row that decided it and only ever rises: a plan that is put back, or that
comes late, is refused by whoever writes and by whoever follows. A missing or damaged file changes
nothing of what serves; a plan without arms says explicitly that no version should.

`desired.json`, which homes from before the plans hold, is read as a plan of one arm until the first
plan is written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import rfc8785
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from include.errors import ReleaseError, ServingError, SignatureError
from include.files import locked, write
from include.model.signing import public_key, sign_statement, verify_statement
from include.release.shared.objects import PLANS, objects_of, reaching
from include.settings import Settings

Role = Literal["champion", "challenger", "shadow"]

PURPOSE = "traffic plan"
SHARES_TOLERANCE = 1e-6
LOCK_SECONDS = 30.0
ATTEMPTS = 20
BY_HAND = "by hand"
"""What stands for the ledger's row where a plan was written without one."""


class PlannedArm(BaseModel):
    """A version in a plan: its part, and its share of the rows, 0 to 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Role
    version: int = Field(ge=1)
    digest: str = Field(min_length=1)
    share: float = Field(ge=0.0, le=1.0)


class Plan(BaseModel):
    """Who answers for a use case. Without arms nobody does.

    `sequence` is the ledger's row that decided it (0 before the first) and `decided_by` that row's
    hash. `unit` are the request columns whose values decide a row's arm, together with `salt`; the
    use case's entity keys where it is empty. `shadow` scores the same rows and answers none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    use_case: str
    sequence: int = Field(ge=0)
    arms: tuple[PlannedArm, ...]
    shadow: PlannedArm | None = None
    unit: tuple[str, ...]
    salt: str
    decided_by: str

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        roles = [arm.role for arm in self.arms]
        if self.arms and (roles.count("champion") != 1 or "shadow" in roles):
            raise ValueError(
                f"a plan's arms are one champion and any number of challengers, not {roles}"
            )
        versions = [arm.version for arm in self.arms]
        if len(set(versions)) < len(versions):
            raise ValueError(f"each version is one arm; these are {versions}")
        total = sum(arm.share for arm in self.arms)
        if self.arms and abs(total - 1.0) > SHARES_TOLERANCE:
            raise ValueError(f"the arms' shares must add up to 1, not to {total:g}")
        if self.shadow is not None and (self.shadow.role != "shadow" or self.shadow.share):
            raise ValueError("the shadow has the role shadow and the share 0")
        if self.shadow is not None and not self.arms:
            raise ValueError("a shadow needs a champion whose rows it scores")
        return self

    @property
    def champion(self) -> PlannedArm | None:
        """The arm that answers where another one fails; None where no version serves."""
        return next((arm for arm in self.arms if arm.role == "champion"), None)

    @property
    def is_plain(self) -> bool:
        """Whether one version answers everything and nothing is compared with it."""
        return len(self.arms) == 1 and self.shadow is None

    @property
    def versions(self) -> tuple[PlannedArm, ...]:
        """All arms, the shadow behind them."""
        return self.arms if self.shadow is None else (*self.arms, self.shadow)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of all that it says: two plans are the same if theirs are."""
        return hashlib.sha256(rfc8785.dumps(self.model_dump(mode="json"))).hexdigest()


@dataclass(frozen=True)
class IssuedPlan:
    """A plan as it was written down.

    `revision` counts the plans that were written by hand since `plan.sequence` was decided.
    `former` says that it comes from a home from before the plans, whose versions carry no statement
    yet.
    """

    plan: Plan
    revision: int = 0
    signature: str = ""
    former: bool = False

    @property
    def order(self) -> tuple[int, int]:
        """What rises from plan to plan; a former one comes before all others."""
        return (-1, 0) if self.former else (self.plan.sequence, self.revision)

    def as_json(self) -> dict[str, Any]:
        """The content of the file."""
        plan = self.plan.model_dump(mode="json")
        return {"plan": plan, "revision": self.revision, "signature": self.signature}


def plan_path(settings: Settings, use_case: str) -> Path:
    """The file that the endpoint's processes follow."""
    return settings.serving_dir / use_case / "plan.json"


def plan_place(settings: Settings, use_case: str) -> str:
    """Where releases write the plan, for errors and records."""
    if settings.models_uri is None:
        return str(plan_path(settings, use_case))
    return f"{settings.models_uri}/{plan_name(use_case)}"


def plan_name(use_case: str) -> str:
    """The plan's object in the shared store."""
    return f"{PLANS}/{use_case}.json"


def planned(settings: Settings) -> list[str]:
    """The use cases that have a plan; raises `ServingError` where the shared store cannot be
    read.
    """
    objects = objects_of(settings)
    if objects is None:
        return sorted(path.parent.name for path in settings.serving_dir.glob("*/plan.json"))
    with reaching():
        return sorted(Path(name).stem for name in objects.tags(f"{PLANS}/"))


def plan_written(settings: Settings, use_case: str) -> float | None:
    """When the plan was written, in seconds since 1970; None before the first."""
    objects = objects_of(settings)
    if objects is None:
        try:
            return plan_path(settings, use_case).stat().st_mtime
        except FileNotFoundError:
            return None
    with reaching():
        stored = objects.read(plan_name(use_case))
    return None if stored is None else stored.written.timestamp()


def former_path(settings: Settings, use_case: str) -> Path:
    """What they followed in homes from before the plans: `{"version", "digest", "folder"}`."""
    return settings.serving_dir / use_case / "desired.json"


def last_good_path(settings: Settings, use_case: str) -> Path:
    """What the endpoint keeps for its next start, the plan that it follows under `issued`."""
    return settings.serving_dir / use_case / "last_good.json"


def one_arm(
    use_case: str,
    version: int,
    digest: str,
    *,
    sequence: int = 0,
    unit: tuple[str, ...] = (),
    salt: str | None = None,
    decided_by: str = BY_HAND,
) -> Plan:
    """The plan by which one version answers everything."""
    return Plan(
        use_case=use_case,
        sequence=sequence,
        arms=(PlannedArm(role="champion", version=version, digest=digest, share=1.0),),
        unit=unit,
        salt=use_case if salt is None else salt,
        decided_by=decided_by,
    )


def write_plan(settings: Settings, plan: Plan) -> None:
    """Sign a plan and let it take the place of the one before, durably; the same again changes
    nothing.

    Raises `ReleaseError` for a sequence that is not above the one that is written down.
    """

    def next_plan(current: IssuedPlan | None) -> IssuedPlan | None:
        if current is not None and not current.former:
            if plan == current.plan:
                return None
            if plan.sequence <= current.plan.sequence:
                raise ReleaseError(
                    f"The plan {plan.sequence} of {plan.use_case} is late: plan"
                    f" {current.plan.sequence} is in force. Decide anew, by a new row of the"
                    " ledger."
                )
        return _signed(settings, plan, 0)

    _write(settings, plan.use_case, next_plan)


def write_plan_by_hand(
    settings: Settings,
    use_case: str,
    arms: tuple[PlannedArm, ...],
    shadow: PlannedArm | None = None,
) -> Plan:
    """Write a plan that no row of the ledger has decided, after all that were written so far; the
    next decided one replaces it.

    Unit and salt stay as they are.
    """

    def next_plan(current: IssuedPlan | None) -> IssuedPlan:
        before = None if current is None else current.plan
        plan = Plan(
            use_case=use_case,
            sequence=0 if before is None else before.sequence,
            arms=arms,
            shadow=shadow,
            unit=() if before is None else before.unit,
            salt=use_case if before is None else before.salt,
            decided_by=BY_HAND,
        )
        return _signed(settings, plan, 0 if current is None else current.revision + 1)

    written = _write(settings, use_case, next_plan)
    if written is None:  # a plan by hand is always another one
        raise ReleaseError(f"No plan of {use_case} was written.")
    return written.plan


def read_plan(settings: Settings, use_case: str) -> Plan | None:
    """The plan that is written down; None before the first one.

    Raises `ServingError` for a file that holds no plan, `SignatureError` for one that was not
    signed by our key.
    """
    issued = read_issued(settings, use_case)
    return None if issued is None else issued.plan


def read_issued(settings: Settings, use_case: str) -> IssuedPlan | None:
    """The same with its revision."""
    objects = objects_of(settings)
    if objects is None:
        try:
            content = plan_path(settings, use_case).read_bytes()
        except FileNotFoundError:
            return _former(settings, use_case)
    else:
        with reaching():
            stored = objects.read(plan_name(use_case))
        if stored is None:
            return None
        content = stored.content
    return parse_issued(content, public_key(settings), use_case, plan_place(settings, use_case))


def parse_issued(content: bytes, key: Path, use_case: str, path: Path | str) -> IssuedPlan:
    """Check and parse what `IssuedPlan.as_json` gives; raises as `read_plan` does, and names
    `path`.
    """
    try:
        document = json.loads(content)
        issued = IssuedPlan(
            Plan.model_validate(document["plan"]),
            int(document["revision"]),
            str(document["signature"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ServingError(
            f"{path} does not hold a plan ({_first_line(error)}); release the version again."
        ) from error
    try:
        verify_statement(
            key, PURPOSE, _signed_content(issued.plan, issued.revision), issued.signature
        )
    except SignatureError as error:
        raise SignatureError(
            f"{path} was not signed by our key, or altered since: {error} What serves stays;"
            " release the version again."
        ) from error
    if issued.plan.use_case != use_case:
        raise ServingError(f"{path} holds a plan of {issued.plan.use_case!r}, not of {use_case!r}.")
    return issued


def parse_former(content: bytes, use_case: str, path: Path) -> Plan:
    """Parse a `desired.json`; raises `ServingError` naming the file when it is something else."""
    try:
        state = json.loads(content)
        if state["version"] is None:
            return Plan(
                use_case=use_case, sequence=0, arms=(), unit=(), salt=use_case, decided_by=BY_HAND
            )
        return one_arm(use_case, int(state["version"]), str(state["digest"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ServingError(
            f"{path} does not hold version and digest ({_first_line(error)}); release the version"
            " again."
        ) from error


def _write(
    settings: Settings,
    use_case: str,
    next_plan: Callable[[IssuedPlan | None], IssuedPlan | None],
) -> IssuedPlan | None:
    """Let what `next_plan` makes of the plan in force take its place; None where it makes nothing.

    Of writers of one host one has the lock; of several hosts one's put comes through, and the
    others read again and decide again.
    """
    path = plan_path(settings, use_case)
    with locked(path.with_suffix(".lock"), seconds=LOCK_SECONDS):
        for _ in range(ATTEMPTS):
            issued = next_plan(_newest(settings, use_case))
            if issued is None or _put(settings, issued):
                return issued
    raise ReleaseError(
        f"Other hosts wrote the plan of {use_case} {ATTEMPTS} times in a row. Run the step again."
    )


def _put(settings: Settings, issued: IssuedPlan) -> bool:
    """Write a plan down; False where another host has written one since the newest was read."""
    use_case, content = issued.plan.use_case, json.dumps(issued.as_json(), indent=1)
    objects = objects_of(settings)
    if objects is None:
        write(plan_path(settings, use_case), content, durable=True)
        return True
    name, data = plan_name(use_case), content.encode()
    with reaching():
        stored = objects.read(name)
        if stored is None:
            return objects.create(name, data)
        with suppress(ServingError, SignatureError):
            place = plan_place(settings, use_case)
            there = parse_issued(stored.content, public_key(settings), use_case, place)
            if there.order >= issued.order:
                return False
        return objects.replace(name, data, stored.tag)


def _newest(settings: Settings, use_case: str) -> IssuedPlan | None:
    """The plan that is written down, or where that is damaged or gone the one that was followed."""
    issued: list[IssuedPlan] = []
    with suppress(ServingError, SignatureError):
        if (written := read_issued(settings, use_case)) is not None:
            issued.append(written)
    with suppress(ServingError, SignatureError, OSError, ValueError, KeyError, TypeError):
        path = last_good_path(settings, use_case)
        content = json.dumps(json.loads(path.read_bytes())["issued"]).encode()
        issued.append(parse_issued(content, public_key(settings), use_case, path))
    return max(issued, key=lambda one: one.order, default=None)


def _signed(settings: Settings, plan: Plan, revision: int) -> IssuedPlan:
    signature = sign_statement(settings, PURPOSE, _signed_content(plan, revision))
    return IssuedPlan(plan, revision, signature)


def _signed_content(plan: Plan, revision: int) -> dict[str, Any]:
    return {"plan": plan.model_dump(mode="json"), "revision": revision}


def _former(settings: Settings, use_case: str) -> IssuedPlan | None:
    path = former_path(settings, use_case)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    return IssuedPlan(parse_former(content, use_case, path), former=True)


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc'])) or 'plan'}: {first['msg']}"
    return repr(error)
