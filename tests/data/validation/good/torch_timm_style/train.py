#!/usr/bin/env python3
import argparse
import logging
from collections import OrderedDict
from contextlib import suppress
from functools import partial

import torch
import yaml
from timm.models import create_model

try:
    from apex import amp
    has_apex = True
except ImportError:
    has_apex = False

try:
    import wandb
    has_wandb = True
except ImportError:
    has_wandb = False

_logger = logging.getLogger("train")

# The first arg parser parses out only the --config argument.
config_parser = parser = argparse.ArgumentParser(description="Training Config", add_help=False)
parser.add_argument("-c", "--config", default="", type=str, metavar="FILE")

parser = argparse.ArgumentParser(description="PyTorch ImageNet Training")
group = parser.add_argument_group("Dataset parameters")
group.add_argument("data", nargs="?", metavar="DIR", const=None)
parser.add_argument("--data-dir", metavar="DIR")
group.add_argument("--epochs", type=int, default=300)
group.add_argument("--model", default="resnet50", type=str)
group.add_argument("--sched", type=str, default="cosine")
group.add_argument("--opt-betas", default=None, type=float, nargs="+")
group.add_argument("--amp", action="store_true", default=False)


def _parse_args():
    args_config, remaining = config_parser.parse_known_args()
    if args_config.config:
        with open(args_config.config, "r") as f:
            cfg = yaml.safe_load(f)
            parser.set_defaults(**cfg)
    args = parser.parse_args(remaining)
    return args, yaml.safe_dump(args.__dict__, default_flow_style=False)


def main():
    args, args_text = _parse_args()
    model = create_model(args.model, pretrained=False)
    with suppress(KeyboardInterrupt):
        print(args_text, sum(p.numel() for p in model.parameters()))


if __name__ == "__main__":
    main()
