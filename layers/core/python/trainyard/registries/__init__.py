"""Where container images lie, behind one contract."""
