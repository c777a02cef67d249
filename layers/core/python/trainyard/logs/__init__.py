"""What a run printed: read live, indexed after the end, searched; and what it measured."""
