"""Compute backends behind one contract: each turns a job request into a running job and says where it stands."""
