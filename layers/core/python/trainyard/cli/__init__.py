"""The command line: the checks and the readers on a laptop, and a client of the API."""
