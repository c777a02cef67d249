"""What happens to AWS and cannot be asked of it: `python -m infra.local.batch.faults ADDRESS reclaim JOB_ID`.

`reclaim` takes the machine from under a running job, as spot machines are; `starve` and `feed` say whether AWS has any
machine left for a compute environment; `block` is `starve` for a reason that Batch does not know.
"""

import argparse
import json
import sys
import urllib.error
import urllib.request
from typing import Any

from infra.local.batch.lifecycle import NO_CAPACITY, UNDETERMINED

# What every request to the server must carry; nobody checks the signature.
_SIGNED = {"Authorization": "AWS4-HMAC-SHA256 Credential=local", "Content-Type": "application/json"}
_SECONDS = 10.0


def reclaim(address: str, job_id: str) -> None:
    """ValueError, with the server's words, for a job that it does not know."""
    _send(address, "reclaim", {"job": job_id})


def starve(address: str, environment: str, *, starved: bool = True, reason: str = NO_CAPACITY) -> None:
    """ValueError for an environment that the server does not know. reason: what Batch says of it."""
    _send(address, "starve", {"environment": environment, "starved": starved, "reason": reason})


def _send(address: str, fault: str, body: dict[str, Any]) -> None:
    request = urllib.request.Request(f"{address}/fault/{fault}", json.dumps(body).encode(), _SIGNED)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS):  # noqa: S310  the address is the stack's own
            pass
    except urllib.error.HTTPError as error:
        with error:
            raise ValueError(json.loads(error.read()).get("message", str(error))) from None


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.local.batch.faults", description=__doc__)
    parser.add_argument("address", help="of the Batch server, as `stack.json` says")
    parser.add_argument("fault", choices=("reclaim", "starve", "block", "feed"))
    parser.add_argument("which", help="a job's id, or a compute environment's name or ARN")
    options = parser.parse_args(arguments)
    try:
        if options.fault == "reclaim":
            reclaim(options.address, options.which)
        else:
            reason = UNDETERMINED if options.fault == "block" else NO_CAPACITY
            starve(options.address, options.which, starved=options.fault != "feed", reason=reason)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
