import argparse
import logging
import math

import sacrebleu
import torch
from torch import nn

MODEL_FLAGS = {"d-model": 512, "heads": 8, "layers": 6}


def add_training_flags(parser):
    parser.add_argument("--train-data", required=True)
    parser.add_argument("--output_path", default="checkpoints")
    parser.add_argument("--label-smoothing", type=float, default=0.0)


def parse():
    parser = argparse.ArgumentParser(__doc__)
    add_training_flags(parser)
    for name, default in MODEL_FLAGS.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    return parser.parse_args()


class Positions(nn.Module):
    def __init__(self, width, length=5000):
        super().__init__()
        position = torch.arange(length).unsqueeze(1)
        rate = torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
        self.register_buffer("table", torch.sin(position * rate))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    options = parse()
    logging.info("BLEU by sacrebleu %s, width %d", sacrebleu.__version__, options.d_model)
