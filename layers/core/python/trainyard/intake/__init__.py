"""A push, a form or a call becomes a stored request. Nothing here waits for what the request leads to."""
