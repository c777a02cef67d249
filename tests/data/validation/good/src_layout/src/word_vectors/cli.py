import argparse
from pathlib import Path

from . import __version__


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="word-vectors")
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--output_path", type=Path, default=Path.cwd())
    parser.add_argument("--vector-size", type=int, default=100)
    parser.add_argument("--window", type=int, default=5)
    parser.add_argument("--sg", action=argparse.BooleanOptionalAction, default=True)
    return parser
