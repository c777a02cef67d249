"""What a run is worth: standard and custom evaluation, comparison, gates."""
