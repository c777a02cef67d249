"""The shared words of the house: pure data and rules, no AWS, no files, no network."""
