"""A commit is fetched, rules run, inputs are pinned. The rules never execute what they look at."""
