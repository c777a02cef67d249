"""What backends report becomes run state."""
