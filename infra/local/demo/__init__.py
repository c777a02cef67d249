"""`make demo`: the main job on this machine, shown as it happens."""
