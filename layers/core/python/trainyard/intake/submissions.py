"""A run is asked for without a push: by the form, by the API, or as a repetition of a former run."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

from trainyard.intake.permissions import commandable_run, readable_run, writable_repository
from trainyard.intake.problems import invalid_input
from trainyard.model.errors import Conflict, InvalidInput
from trainyard.model.ids import new_run_id
from trainyard.model.repository import AccessToken, FullName, RepositoryKind, Sha
from trainyard.model.request import PinnedInput, RunRequest
from trainyard.model.run import Origin, Run, RunState, Transition
from trainyard.model.spec import RUN_NAME, Input, RunSpec
from trainyard.model.text import Text
from trainyard.store import State, layout, spending
from trainyard.store.objects import ObjectMissingError
from trainyard.store.table import AlreadyThereError

RunName = Annotated[str, StringConstraints(pattern=RUN_NAME)]
# What `git check-ref-format` forbids, and a leading dash, which a program could take for an option.
_BAD_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|^[-/]|/$|//|\.lock$|\.$")


class SubmitRun(BaseModel):
    """What is needed to ask for a run."""

    model_config = ConfigDict(extra="forbid")

    name: RunName = Field(description="Name of the training; several runs may share one.")
    spec: RunSpec = Field(description="What to run, as under `runs` in trainyard.yaml.")
    ref: str | None = Field(None, max_length=200, description="Branch or tag; the default branch if left out.")
    commit: Sha | None = Field(None, description="Full id of the commit; the newest of `ref` if left out.")
    origin: Origin = Origin.API
    idempotency_key: str | None = Field(
        None, min_length=1, max_length=200, description="The same key again gives the same run."
    )

    @field_validator("ref")
    @classmethod
    def _is_a_ref(cls, ref: str | None) -> str | None:
        if ref is not None and (not ref.strip() or _BAD_REF.search(ref)):
            raise ValueError("that is not the name of a branch or tag")
        return ref


class Asked(BaseModel):
    """What somebody asked for, as it is kept."""

    model_config = ConfigDict(extra="forbid")

    run: str
    """The id that the run has, or is to get."""
    at: AwareDatetime
    project: FullName
    user: str
    rerun_of: str | None = None
    submit: SubmitRun


class RunChanges(BaseModel):
    """What is to be different when a run is repeated; what is left out stays as it was."""

    model_config = ConfigDict(extra="forbid")

    name: RunName | None = None
    ref: str | None = Field(None, max_length=200, description="Run the newest commit of this branch or tag instead.")
    commit: Sha | None = Field(None, description="Run this commit instead.")
    spec: dict[str, Any] = Field(
        {},
        description="Fields of the spec. `hyperparameters`, `env` and `inputs` are merged by key; null takes one away.",
    )
    idempotency_key: str | None = Field(None, min_length=1, max_length=200)


def submit_run(
    state: State, project: str, token: AccessToken | None, request: SubmitRun, now: datetime | None = None
) -> Run:
    """Store a requested run; validation, which is told by the table's stream, admits or rejects it.

    With an idempotency key a repeated call returns the run that the first one made.

    Raises:
        Unauthenticated, Forbidden, NotFound: see `writable_repository`.
        InvalidInput: the repository holds a model or a data set.
        Conflict: the idempotency key was used for another request.
    """
    repository = writable_repository(state.table, project, token)
    assert token is not None
    if repository.kind is not RepositoryKind.PROJECT:
        raise InvalidInput(
            Text(
                en=f"{project} holds a {repository.kind.value} and only projects are trained. Name it as an input.",
                zh=f"{project} 不是项目仓库，只有项目可以训练。请将它用作输入。",
            )
        )
    return _create(state, project, token, request, None, now or datetime.now(UTC))


def rerun(
    state: State, run_id: str, token: AccessToken | None, changes: RunChanges, now: datetime | None = None
) -> Run:
    """Run it again: the same commit on the same revisions of its inputs, but for what `changes` says.

    Raises:
        NotFound, Unauthenticated, Forbidden: the run, or commanding it, is not the user's.
        Conflict: the former run has no readable settings, or the idempotency key was used for something else.
        InvalidInput: the changed settings do not hold together.
    """
    readable_run(state.table, run_id, token)
    former = commandable_run(state.table, run_id, token)
    assert token is not None
    if former.spec is None:
        raise Conflict(
            Text(
                en="This run's settings could not be read, so it cannot be repeated. Correct trainyard.yaml and push.",
                zh="无法读取此训练的配置，因此不能重建。请修正 trainyard.yaml 后重新推送。",
            )
        )
    moved = changes.ref is not None or changes.commit is not None
    spec = _changed_spec(_pinned_spec(state, former), changes.spec)
    try:
        request = SubmitRun(
            name=changes.name or former.name,
            spec=spec,
            ref=changes.ref if moved else former.ref,
            commit=changes.commit if moved else former.commit,
            origin=Origin.RERUN,
            idempotency_key=changes.idempotency_key,
        )
    except ValidationError as error:
        raise invalid_input(error) from None
    return _create(state, former.project, token, request, former.id, now or datetime.now(UTC))


def _create(
    state: State, project: str, token: AccessToken, request: SubmitRun, rerun_of: str | None, now: datetime
) -> Run:
    asked = Asked(run=new_run_id(now), at=now, project=project, user=token.user, rerun_of=rerun_of, submit=request)
    asked = _kept(state, asked)
    run = requested_run(state, asked)
    try:
        state.table.create_run(run)
    except AlreadyThereError:
        return state.table.run(run.id) or run
    return run


def requested_run(state: State, asked: Asked) -> Run:
    """The run as it is before anything was done with it."""
    request = asked.submit
    return Run(
        id=asked.run,
        name=request.name,
        project=asked.project,
        origin=request.origin,
        requested_by=asked.user,
        commit=request.commit,
        ref=request.ref,
        rerun_of=asked.rerun_of,
        spec=request.spec,
        estimate=spending.estimate_of(state.table, asked.project, request.name, request.spec),
        timeline=[Transition(state=RunState.REQUESTED, attempt=0, at=asked.at)],
        created_at=asked.at,
        updated_at=asked.at,
    )


def _kept(state: State, asked: Asked) -> Asked:
    """What was asked is kept before the run is written, so that neither a lost answer nor a lost table loses it.

    With an idempotency key that was used before it is what was asked then: a call that died in between is completed by
    its repetition.
    """
    request = asked.submit
    name = asked.run
    if request.idempotency_key is not None:
        name = hashlib.sha256(f"{asked.project}\0{asked.user}\0{request.idempotency_key}".encode()).hexdigest()
    key = layout.submission_key(name)
    content = f"{asked.rerun_of}\0{request.model_dump_json()}"
    digest = hashlib.sha256(content.encode()).hexdigest()
    record = {"run": asked.run, "request": digest, "asked": asked.model_dump(mode="json", exclude_defaults=True)}
    if state.objects.put(key, json.dumps(record).encode(), "application/json", if_absent=True):
        return asked
    first = json.loads(state.objects.get(key))
    if first["request"] != digest:
        raise Conflict(
            Text(
                en="This idempotency key was used for another request. Use a new key for a new run.",
                zh="该幂等键已用于另一个请求。新的训练请使用新的键。",
            ),
            code="idempotency_key_reused",
            details={"run": first["run"]},
        )
    if "asked" in first:
        return Asked.model_validate(first["asked"])
    return asked.model_copy(update={"run": str(first["run"])})


def _pinned_spec(state: State, former: Run) -> RunSpec:
    """The former run's settings, its inputs at the revisions they really had if it got as far as pinning them."""
    assert former.spec is not None
    try:
        request = RunRequest.model_validate_json(state.objects.get(layout.request_key(former.id)))
    except ObjectMissingError:
        return former.spec
    spec, evaluation = former.spec, former.spec.evaluation
    judged = evaluation.model_copy(update={"inputs": _pinned(evaluation.inputs, request.evaluation_inputs)})
    return spec.model_copy(update={"inputs": _pinned(spec.inputs, request.inputs), "evaluation": judged})


def _pinned(sources: dict[str, Input], inputs: list[PinnedInput]) -> dict[str, Input]:
    pinned = {one.argument: one for one in inputs}
    return {
        argument: source.model_copy(update=_pin(pinned[argument])) if argument in pinned else source
        for argument, source in sources.items()
    }


def _pin(pinned: PinnedInput) -> dict[str, str]:
    kind, _, name = pinned.source.partition(" ")
    if kind == "run":
        return {"run": name}
    return {"revision": pinned.revision} if pinned.revision else {}


def _changed_spec(spec: RunSpec, changes: dict[str, Any]) -> RunSpec:
    document = spec.model_dump(mode="json", exclude_none=True)
    for name, value in changes.items():
        merged = name in ("hyperparameters", "env", "inputs") and isinstance(value, dict)
        document[name] = _merged(document.get(name, {}), value) if merged else value
    try:
        return RunSpec.model_validate(document)
    except ValidationError as error:
        raise invalid_input(error, prefix="spec", model=RunSpec) from None


def _merged(known: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**known, **changes}.items() if value is not None}
