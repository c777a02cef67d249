"""What this Batch refuses, in the words and the shape of AWS Batch.

Wire messages stay English only: they stand in for AWS's own, which the product must cope with as they are.
"""


class Refusal(Exception):
    """The caller's fault: becomes `ClientException`, HTTP 400, with this message."""


class Throttled(Exception):
    """More calls than the account may make: becomes `TooManyRequestsException`, HTTP 429."""
