"""Run as a script from anywhere: the package lies in ../src."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

from word_vectors.cli import build_parser
from word_vectors.training import train

if __name__ == "__main__":
    train(build_parser().parse_args())
