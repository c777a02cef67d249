"""The run file of a commit."""
