"""Tests against real accounts, on request only: they cost money."""
