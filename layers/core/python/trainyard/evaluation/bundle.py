"""What a run was made of and came to becomes one signed document."""

from __future__ import annotations

import hashlib
import re

from trainyard.model.bundle import Bundle, BundledInput, Code, Figures, OtherMachine, Package
from trainyard.model.request import PinnedInput, RunRequest
from trainyard.model.result import AttemptResult
from trainyard.model.run import Run
from trainyard.model.settings import settings
from trainyard.store import State, layout
from trainyard.store.objects import ObjectMissingError
from trainyard.store.signing import sign

_SECRET = re.compile(r"(?i)key|token|secret|passw|credential|auth|cookie|private|dsn|_pat\b|://[^/]*@")
_HIDDEN = "(hidden)"


def store_bundle(state: State, run: Run) -> Bundle:
    """Write `bundle.json` of a run that has been evaluated. Writing it again is harmless."""
    unsigned = bundle_of(state, run)
    signature = sign(state.secrets, state.objects, unsigned.signed_bytes(), settings().signing_key)
    bundle = unsigned.model_copy(update={"signature": signature})
    state.objects.put(layout.bundle_key(run.id), bundle.model_dump_json().encode(), "application/json")
    return bundle


def bundle_of(state: State, run: Run) -> Bundle:
    """The document without its signature; what never came to be is empty."""
    request, result, spec = _request(state, run), _result(state, run, run.id), run.spec
    return Bundle(
        run=run.id,
        name=run.name,
        project=run.project,
        origin=run.origin,
        requested_by=run.requested_by,
        rerun_of=run.rerun_of,
        state=run.state,
        exit_code=run.exit_code,
        created_at=run.created_at,
        finished_at=run.reached(run.state) or run.updated_at,
        code=Code(
            commit=run.commit,
            tree=request.tree if request else None,
            ref=run.ref,
            boot_file=spec.boot_path if spec else None,
        ),
        framework=(spec.framework or None) if spec else None,
        image=(spec.image or None) if spec else None,
        flavor=spec.flavor if spec else None,
        nodes=spec.nodes if spec else 1,
        processes=spec.processes if spec else 1,
        attempts=max(run.attempt, 1),
        parameters=spec.hyperparameters if spec else {},
        environment=_without_secrets(spec.env) if spec else {},
        packages=_packages(result) if result else [],
        inputs=[_input(one) for one in request.inputs] if request else [],
        hardware=result.machine if result else None,
        outputs=result.outputs if result else [],
        others=_others(state, run),
        metrics=Figures(best=run.evaluation.best, last=run.evaluation.last, digest=_metrics_digest(state, run)),
        verdict=run.evaluation.verdict,
    )


def _packages(result: AttemptResult) -> list[Package]:
    found = []
    for one in result.packages:
        name, _, version = one.partition("==")
        found.append(Package(name=name, version=version, digest=result.package_digests.get(one)))
    return found


def _input(pinned: PinnedInput) -> BundledInput:
    lines = (f"{file.content_id}  {file.path}" for file in sorted(pinned.files, key=lambda file: file.path))
    return BundledInput(
        argument=pinned.argument,
        source=pinned.source,
        revision=pinned.revision,
        files=len(pinned.files),
        size=sum(file.size for file in pinned.files),
        digest=hashlib.sha256("\n".join(lines).encode()).hexdigest(),
    )


def _without_secrets(env: dict[str, str]) -> dict[str, str]:
    return {name: _HIDDEN if _SECRET.search(f"{name}={value}") else value for name, value in env.items()}


def _metrics_digest(state: State, run: Run) -> str | None:
    try:
        return hashlib.sha256(state.objects.get(layout.metrics_key(run.id))).hexdigest()
    except ObjectMissingError:
        return None


def _request(state: State, run: Run) -> RunRequest | None:
    try:
        return RunRequest.model_validate_json(state.objects.get(layout.request_key(run.id)))
    except (ObjectMissingError, ValueError):
        return None


def _others(state: State, run: Run) -> list[OtherMachine]:
    nodes = run.spec.nodes if run.spec else 1
    results = ((node, _result(state, run, layout.node_id(run.id, node))) for node in range(1, nodes))
    return [
        OtherMachine(node=node, ending=result.ending, hardware=result.machine, outputs=result.outputs)
        for node, result in results
        if result is not None
    ]


def _result(state: State, run: Run, place: str) -> AttemptResult | None:
    """`place`: in place of the run's id in a key."""
    try:
        return AttemptResult.model_validate_json(state.objects.get(layout.result_key(place, run.attempt)))
    except (ObjectMissingError, ValueError):
        return None
