"""Trainyard: push code, get a trained and evaluated model."""

__version__ = "0.1.0"
