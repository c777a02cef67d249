"""What a run was made of: verify its bundle, and run it again to see whether the same comes out."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any

from trainyard.cli.client import ApiError, Client
from trainyard.cli.commands.compare import print_comparison
from trainyard.cli.terminal import client, command
from trainyard.model.bundle import Bundle, Signature, signed_bytes

_POLL_SECONDS = 3.0


def add(subparsers: Any) -> None:
    verify = command(subparsers, "verify", _verify, "check the signature of a run's bundle, and files against it")
    verify.add_argument("source", metavar="FILE|RUN", help="a bundle.json on this machine, or the id of a run")
    verify.add_argument("--key", type=Path, help="the public key as PEM; the API is asked for it if left out")
    verify.add_argument("--outputs", type=Path, metavar="FOLDER", help="hold the files there against the bundle, too")
    reproduce = command(subparsers, "reproduce", _reproduce, "run it again and compare what comes out", "run")
    reproduce.add_argument(
        "--tolerance", type=float, default=0.01, help="how far a best value may be from the first one's (0.01 = 1 %%)"
    )
    reproduce.add_argument("--timeout", type=float, default=86400, help="seconds to wait for the second run")


def _verify(options: argparse.Namespace) -> int:
    document = _document(options)
    try:
        bundle = Bundle.model_validate(document)
    except ValueError as error:
        raise ApiError(0, "no_bundle", f"{options.source} is not a bundle of this version: {error}") from None
    if bundle.signature is None:
        print("NOT SIGNED")
        return 1
    if not _is_signed(signed_bytes(document), bundle.signature, _key(options, bundle.signature)):
        print(f"WRONG: the document is not what key {bundle.signature.key[:16]} signed")
        return 1
    print(f"signed by key {bundle.signature.key[:16]}: {bundle.project} {bundle.run}, commit {bundle.code.commit}")
    return _compare_outputs(bundle, options.outputs) if options.outputs else 0


def _document(options: argparse.Namespace) -> Any:
    path = Path(options.source)
    if not path.is_file():
        return client(options).get(f"/v1/runs/{options.source}/bundle")
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise ApiError(0, "no_bundle", f"{path} is not JSON: {error}") from None


def _key(options: argparse.Namespace, signature: Signature) -> bytes:
    if options.key:
        pem: bytes = options.key.read_bytes()
        return pem
    return client(options).text(f"/v1/keys/{signature.key}").encode()


def _is_signed(data: bytes, signature: Signature, pem: bytes) -> bool:
    from trainyard.store.signing import is_signed

    try:
        return is_signed(data, signature, pem)
    except ImportError:
        raise ApiError(
            0, "no_cryptography", "install what checks signatures: pip install 'trainyard[verify]'"
        ) from None


def _compare_outputs(bundle: Bundle, folder: Path) -> int:
    wrong = 0
    for one in bundle.outputs:
        path = folder / one.path
        if not path.is_file():
            wrong += 1
            print(f"MISSING    {one.path}")
            continue
        with path.open("rb") as file:
            same = hashlib.file_digest(file, "sha256").hexdigest() == one.sha256
        wrong += not same
        print(f"{'same' if same else 'DIFFERENT':<10} {one.path}")
    return 1 if wrong else 0


def _reproduce(options: argparse.Namespace) -> int:
    """0: every best value is as near as asked for."""
    api = client(options)
    first = api.get(f"/v1/runs/{options.run}/bundle")
    again = api.post(f"/v1/runs/{options.run}/rerun")["id"]
    print(f"{again} runs the same commit on the same inputs", file=sys.stderr)
    _wait(api, again, options.timeout)
    print_comparison(api.get(f"/v1/runs/{options.run}/comparison", **{"with": again}))
    second = api.get(f"/v1/runs/{again}/bundle")
    _print_differences(first, second)
    far = _far(first["metrics"]["best"], second["metrics"]["best"], options.tolerance)
    if second["state"] != first["state"]:
        far.append(f"the first run {first['state']}, the second {second['state']}")
    for line in far:
        print(f"NOT REPRODUCED: {line}")
    if not far:
        print(f"reproduced within {options.tolerance:g}")
    return 1 if far else 0


def _wait(api: Client, run: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        known = api.get(f"/v1/runs/{run}")
        if known["state"] == "rejected" or known["evaluation"]["state"] != "none":
            return
        time.sleep(_POLL_SECONDS)
    raise ApiError(0, "timeout", f"{run} has not been evaluated after {seconds:g} s; look at it later")


def _print_differences(first: Any, second: Any) -> None:
    """What may explain a difference: packages, machine and image; and which outputs are the same to the last byte."""
    before, after = ({one["name"]: one for one in bundle["packages"]} for bundle in (first, second))
    changed = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    if changed:
        print(f"packages that are not the same: {', '.join(changed[:20])}")
    if first["hardware"] != second["hardware"]:
        print("the machine or the image is not the same")
    digests = [{one["path"]: one["sha256"] for one in bundle["outputs"]} for bundle in (first, second)]
    same = sum(digests[1].get(path) == digest for path, digest in digests[0].items())
    print(f"{same} of {len(digests[0])} outputs are the same to the last byte")


def _far(first: dict[str, Any], second: dict[str, Any], tolerance: float) -> list[str]:
    # How long a step took is no result.
    names = [name for name in first if "time" not in name]
    return [
        f"{name} was {first[name]} and is {second.get(name)}"
        for name in names
        if not _near(float(first[name]), second.get(name), tolerance)
    ]


def _near(first: float, second: Any, tolerance: float) -> bool:
    if second is None:
        return False
    other = float(second)
    return first == other or abs(first - other) <= tolerance * max(abs(first), abs(other))
