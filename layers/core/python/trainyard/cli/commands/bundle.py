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
from trainyard.cli.terminal import client, command, print_json, wants_json, with_json
from trainyard.model.bundle import Bundle, Signature, signed_bytes

_POLL_SECONDS = 3.0
_WORDS = {"same": "same", "different": "DIFFERENT", "missing": "MISSING"}


def add(subparsers: Any) -> None:
    words = "check the signature of a run's bundle, and files against it"
    verify = with_json(command(subparsers, "verify", _verify, words))
    verify.add_argument("source", metavar="FILE|RUN", help="a bundle.json on this machine, or the id of a run")
    verify.add_argument("--key", type=Path, help="the public key as PEM; the API is asked for it if left out")
    verify.add_argument("--outputs", type=Path, metavar="FOLDER", help="hold the files there against the bundle, too")
    words = "run it again and compare what comes out"
    reproduce = with_json(command(subparsers, "reproduce", _reproduce, words, "run"))
    reproduce.add_argument(
        "--tolerance", type=float, default=0.01, help="how far a best value may be from the first one's (0.01 = 1 %%)"
    )
    reproduce.add_argument("--timeout", type=float, default=86400, help="seconds to wait for the second run")


def _verify(options: argparse.Namespace) -> int:
    """0: it is signed, and what is to be held against it is the same."""
    checked = _checked(options)
    if wants_json(options):
        print_json(checked)
    else:
        print(checked["message"])
        for one in checked["outputs"]:
            print(f"{_WORDS[one['is']]:<10} {one['path']}")
    return 0 if checked["signed"] and all(one["is"] == "same" for one in checked["outputs"]) else 1


def _checked(options: argparse.Namespace) -> dict[str, Any]:
    document = _document(options)
    try:
        bundle = Bundle.model_validate(document)
    except ValueError as error:
        raise ApiError(0, "no_bundle", f"{options.source} is not a bundle of this version: {error}") from None
    told: dict[str, Any] = {
        "run": bundle.run,
        "project": bundle.project,
        "commit": bundle.code.commit,
        "signed": False,
        "outputs": [],
    }
    if bundle.signature is None:
        return {**told, "key": None, "message": "NOT SIGNED"}
    key = bundle.signature.key
    if not _is_signed(signed_bytes(document), bundle.signature, _key(options, bundle.signature)):
        return {**told, "key": key, "message": f"WRONG: the document is not what key {key[:16]} signed"}
    said = f"signed by key {key[:16]}: {bundle.project} {bundle.run}, commit {bundle.code.commit}"
    outputs = _compared_outputs(bundle, options.outputs) if options.outputs else []
    return {**told, "key": key, "message": said, "signed": True, "outputs": outputs}


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


def _compared_outputs(bundle: Bundle, folder: Path) -> list[dict[str, str]]:
    """Each file of the bundle, and whether the one in the folder is `same`, `different` or `missing`."""
    return [{"path": one.path, "is": _compared(folder / one.path, one.sha256)} for one in bundle.outputs]


def _compared(path: Path, sha256: str) -> str:
    if not path.is_file():
        return "missing"
    with path.open("rb") as file:
        return "same" if hashlib.file_digest(file, "sha256").hexdigest() == sha256 else "different"


def _reproduce(options: argparse.Namespace) -> int:
    """0: every best value is as near as asked for."""
    api = client(options)
    first = api.get(f"/v1/runs/{options.run}/bundle")
    again = api.post_once(f"/v1/runs/{options.run}/rerun", {})["id"]
    print(f"{again} runs the same commit on the same inputs", file=sys.stderr)
    _wait(api, again, options.timeout)
    second = api.get(f"/v1/runs/{again}/bundle")
    far = _far(first["metrics"]["best"], second["metrics"]["best"], options.tolerance)
    if second["state"] != first["state"]:
        far.append(f"the first run {first['state']}, the second {second['state']}")
    differences = _differences(first, second)
    if wants_json(options):
        print_json({"run": again, "reproduced": not far, "far": far, **differences})
        return 1 if far else 0
    print_comparison(api.get(f"/v1/runs/{options.run}/comparison", **{"with": again}))
    _print_differences(differences)
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


def _differences(first: Any, second: Any) -> dict[str, Any]:
    """What may explain a difference: packages, machine and image; and which outputs are the same to the last byte."""
    before, after = ({one["name"]: one for one in bundle["packages"]} for bundle in (first, second))
    digests = [_digests(bundle) for bundle in (first, second)]
    return {
        "packages": sorted(name for name in {*before, *after} if before.get(name) != after.get(name)),
        "same_hardware": _hardware(first) == _hardware(second),
        "outputs": len(digests[0]),
        "same_outputs": sum(digests[1].get(path) == digest for path, digest in digests[0].items()),
    }


def _hardware(bundle: Any) -> list[Any]:
    return [bundle["hardware"], *(other["hardware"] for other in bundle.get("others", []))]


def _digests(bundle: Any) -> dict[tuple[int, str], str]:
    """Of all machines' outputs, by machine and path."""
    machines = [{"node": 0, "outputs": bundle["outputs"]}, *bundle.get("others", [])]
    return {(each["node"], one["path"]): one["sha256"] for each in machines for one in each["outputs"]}


def _print_differences(found: dict[str, Any]) -> None:
    if found["packages"]:
        print(f"packages that are not the same: {', '.join(found['packages'][:20])}")
    if not found["same_hardware"]:
        print("the machine or the image is not the same")
    print(f"{found['same_outputs']} of {found['outputs']} outputs are the same to the last byte")


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
