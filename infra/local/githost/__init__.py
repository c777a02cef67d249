"""The git host of the embedded stack: smart HTTP, push rules, signed webhooks and commit statuses in GitHub's shape.

Repositories and tokens are the product's own rows; this only holds what git needs: `repositories/` below its root.
"""
