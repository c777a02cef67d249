"""An admitted run becomes exactly one job, and a wish to stop reaches that job."""
