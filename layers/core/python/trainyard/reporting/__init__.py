"""What others are told about a run: commit statuses on the git host."""
