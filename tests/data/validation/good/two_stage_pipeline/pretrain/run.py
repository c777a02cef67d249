import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import mindspore as ms
from mindspore import nn, ops
from aim import Run
from common.tokens import Vocabulary


def main(argv=None):
    parser = argparse.ArgumentParser()
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--output_path", type=Path, default=Path("."))
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--aim_repo", default=".")
    args = parser.parse_args(argv)
    vocabulary = Vocabulary(args.corpus)
    cell = nn.Embedding(len(vocabulary), 64)
    ms.save_checkpoint(cell, str(args.output_path / "last.ckpt"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
