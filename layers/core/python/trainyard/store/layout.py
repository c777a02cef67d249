"""Where each object lies in the bucket. The only place that spells keys."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

DELIVERIES = "deliveries/"
SUBMISSIONS = "submissions/"
JOURNAL = "journal/"
"""Every change of a row of the table."""


RUNS = "runs/"


class NodeSign(StrEnum):
    """What is known of one of several machines, by an object of this name."""

    ALIVE = "alive"
    """Written again and again, each time with another content."""
    ENDED = "ended"
    LOST = "lost"
    """Its host is gone, or about to go."""


def run_prefix(run_id: str) -> str:
    """Everything that a run leaves."""
    return f"runs/{run_id}/"


def run_of(key: str) -> str:
    """The id of the run that left the object."""
    return key.split("/", 2)[1]


def request_key(run_id: str) -> str:
    return f"runs/{run_id}/request.json"


def code_key(run_id: str) -> str:
    return f"runs/{run_id}/code.tar.gz"


def child_id(run_id: str, index: int) -> str:
    """In place of a run's id in any key: what one child of a sweep leaves."""
    return f"{run_id}/children/{index:05d}"


def node_id(run_id: str, index: int) -> str:
    """In place of a run's id in any key: what one of several machines leaves that is not the main one, from 1."""
    return f"{run_id}/nodes/{index}"


def node_signs_prefix(run_id: str, attempt: int) -> str:
    """What is known of an attempt's machines but the main one, in one list."""
    return f"runs/{run_id}/nodes/attempts/{attempt}/"


def node_sign_key(run_id: str, attempt: int, node: int, sign: NodeSign) -> str:
    return f"{node_signs_prefix(run_id, attempt)}{node}.{sign}"


def node_sign_of(key: str) -> tuple[int, NodeSign]:
    """The machine and what is known of it, of a key that `node_sign_key` gave."""
    node, sign = key.rsplit("/", 1)[1].split(".")
    return int(node), NodeSign(sign)


def findings_key(run_id: str) -> str:
    return f"runs/{run_id}/findings.json"


def attempts_prefix(run_id: str) -> str:
    return f"runs/{run_id}/attempts/"


def attempt_prefix(run_id: str, attempt: int) -> str:
    return f"{attempts_prefix(run_id)}{attempt}/"


def log_chunk_prefix(run_id: str, attempt: int) -> str:
    return f"{attempt_prefix(run_id, attempt)}log/"


def log_chunk_key(run_id: str, attempt: int, offset: int) -> str:
    """`offset`: of the chunk's first byte in the attempt's uncompressed log, so that one list call finds any place."""
    return f"{log_chunk_prefix(run_id, attempt)}{offset:016d}.gz"


def is_log_chunk(key: str) -> bool:
    return "/log/" in key and key.endswith(".gz")


def log_chunk_offset(key: str) -> int:
    return int(key.rsplit("/", 1)[1].removesuffix(".gz"))


def result_key(run_id: str, attempt: int) -> str:
    return f"{attempt_prefix(run_id, attempt)}result.json"


def owner_key(run_id: str, attempt: int) -> str:
    """Written once, by the job that runs the attempt; a second job of the same run finds it and leaves."""
    return f"{attempt_prefix(run_id, attempt)}owner.json"


def output_prefix(run_id: str) -> str:
    return f"runs/{run_id}/output/"


def aim_prefix(run_id: str) -> str:
    return f"runs/{run_id}/aim/"


def aim_list_key(run_id: str) -> str:
    """What was tracked with Aim, read from its repository after the end."""
    return f"runs/{run_id}/aim.json"


def aim_image_key(run_id: str, name: str) -> str:
    return f"runs/{run_id}/aim_images/{name}"


def log_key(run_id: str) -> str:
    return f"runs/{run_id}/log.gz"


def log_index_key(run_id: str) -> str:
    return f"runs/{run_id}/log.index.json"


def metrics_key(run_id: str) -> str:
    return f"runs/{run_id}/metrics.json"


def series_key(run_id: str) -> str:
    """Every point of the series that are too long for `metrics.json`."""
    return f"runs/{run_id}/series.bin"


def series_index_key(run_id: str) -> str:
    return f"runs/{run_id}/series.index.json"


def evaluation_key(run_id: str) -> str:
    return f"runs/{run_id}/evaluation.json"


def check_key(check_id: str) -> str:
    """What a dry run of validation found."""
    return f"checks/{check_id}.json"


def listing_key(repository: str, commit: str) -> str:
    """Which folders and Python files a commit holds."""
    return f"{listings_prefix(repository)}{commit}.json"


def storage_report_key(repository: str) -> str:
    """The last inspection of what the repository stores."""
    return f"{storage_prefix(repository)}report.json"


def storage_prefix(repository: str) -> str:
    return f"storage/{repository}/"


def pinned_key(repository: str, run_id: str) -> str:
    """A mark for every run that was admitted with files of this repository."""
    return f"{pinned_prefix(repository)}{run_id}"


def pinned_prefix(repository: str) -> str:
    return f"pinned/{repository}/"


def listings_prefix(repository: str) -> str:
    return f"listings/{repository}/"


def query_prefix(table: str, day: str, run_id: str) -> str:
    """A run's rows of a table in `infra/query.yaml`; `day`: on which it was asked for, 2026-01-31."""
    return f"query/{table}/day={day}/{run_id}/"


def bundle_key(run_id: str) -> str:
    """What the run was made of and came to, signed."""
    return f"runs/{run_id}/bundle.json"


def public_key_key(key_id: str) -> str:
    """A public key that bundles are signed under; `key_id`: SHA-256 of its DER form."""
    return f"keys/{key_id}.pem"


def repeated_evaluation_prefix(run_id: str) -> str:
    return f"runs/{run_id}/evaluations/"


def repeated_evaluation_key(run_id: str, number: int) -> str:
    """An evaluation that somebody asked for, beside the run's own."""
    return f"{repeated_evaluation_prefix(run_id)}{number:06d}.json"


def trained_on_prefix(repository: str, revision: str = "") -> str:
    """A mark for every run that was evaluated and had this repository as an input: its leaderboard."""
    return f"trained_on/{repository}/" + (f"{revision}/" if revision else "")


def trained_on_key(repository: str, revision: str, run_id: str) -> str:
    return f"{trained_on_prefix(repository, revision)}{run_id}"


def delivery_key(push_id: str) -> str:
    """The webhook as it arrived, kept before anything is done with it."""
    return f"{DELIVERIES}{push_id}.json"


def delivered_push(key: str) -> str:
    """The id of the push that `delivery_key` was given."""
    return key.removeprefix(DELIVERIES).removesuffix(".json")


def refs_key(repository: str) -> str:
    """Where the repository's branches and tags pointed when the sweep last looked."""
    return f"{refs_prefix(repository)}seen.json"


def refs_prefix(repository: str) -> str:
    return f"refs/{repository}/"


def refs_cursor_key() -> str:
    """Where the sweep goes on. No repository's: those lie in their owner's folder."""
    return "refs/cursor.json"


def connection_key(digest: str) -> str:
    """Which repository was connected under a clone address; `digest` is of the address."""
    return f"connections/{digest}.json"


def submission_key(name: str) -> str:
    """What the API was asked for; `name`: the run's id, or the digest of who used which idempotency key where."""
    return f"{SUBMISSIONS}{name}.json"


def content_key(repository: str, sha256: str) -> str:
    """A file of a repository by its SHA-256; Git LFS objects and small git blobs that are inputs share the place.

    Per repository, because a store shared by all would give an object to anyone who knows its name.
    """
    return f"lfs/{repository}/{sha256[:2]}/{sha256[2:4]}/{sha256}"


def content_prefix(repository: str) -> str:
    """Everything that `content_key` gives for that repository."""
    return f"lfs/{repository}/"


def journal_key(begin: datetime, name: str) -> str:
    """One batch of changes; `begin`: when the first of them was made, so that keys are in the order of time."""
    return f"{JOURNAL}{begin:%Y-%m-%d/%H-%M-%S.%f}-{name}.jsonl.gz"
