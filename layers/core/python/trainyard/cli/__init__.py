"""The command line: the readers on a laptop, and a client of the API."""


def main() -> None:
    """The program `trainyard`."""
    import sys

    from trainyard.cli.main import run

    sys.exit(run(sys.argv[1:]))
