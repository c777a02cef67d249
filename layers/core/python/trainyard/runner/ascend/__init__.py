"""What carries a run to ModelArts and back, and what starts it there."""
