"""Counters, `COUNT#{name}`, and marks, `MARK#{name}`: no document, in no index, until `expires`."""

from __future__ import annotations

from trainyard.store.table.rows import AlreadyThereError, Rows, key


class CounterRows(Rows):
    def count(self, name: str, by: int, expires: int) -> int:
        """Raise the counter by `by` and return what it is now. It is forgotten after `expires`, a Unix time."""
        answer = self._dynamodb.update_item(
            TableName=self.name,
            Key=key(f"COUNT#{name}"),
            UpdateExpression="ADD amount :by SET expires = :expires, kind = :kind",
            ExpressionAttributeValues={
                ":by": {"N": str(by)},
                ":expires": {"N": str(expires)},
                ":kind": {"S": "count"},
            },
            ReturnValues="ALL_NEW",
        )
        return int(answer["Attributes"]["amount"]["N"])

    def mark(self, name: str, expires: int) -> bool:
        """Note that something was done; False if that was noted before. Forgotten after `expires`, a Unix time."""
        try:
            self._create(key(f"MARK#{name}") | {"kind": {"S": "mark"}, "expires": {"N": str(expires)}})
        except AlreadyThereError:
            return False
        return True

    def is_marked(self, name: str) -> bool:
        return self._item(f"MARK#{name}") is not None
