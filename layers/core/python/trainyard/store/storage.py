"""The last inspection of what a repository stores."""

from __future__ import annotations

from trainyard.model.storage import StorageReport
from trainyard.store.layout import storage_report_key
from trainyard.store.objects import ObjectMissingError, Objects


def storage_report(objects: Objects, repository: str) -> StorageReport | None:
    """None where nobody has asked for one."""
    try:
        return StorageReport.model_validate_json(objects.get(storage_report_key(repository)))
    except ObjectMissingError:
        return None
