"""Images of users' own: looked up in their registries and pinned."""
