import argparse
import os
import sys

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel as DDP


def get_args_parser(add_help=True):
    parser = argparse.ArgumentParser(description="DDP", add_help=add_help)
    parser.add_argument("--backend", choices=("nccl", "gloo"), default="gloo")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--local_rank", "--local-rank", type=int, default=int(os.environ.get("LOCAL_RANK", 0)))
    parser.add_argument("--output_path", default=".")
    return parser


if __name__ == "__main__":
    print("command line:", " ".join(sys.argv))
    args = get_args_parser().parse_args()
    dist.init_process_group(args.backend, init_method="tcp://127.0.0.1:23456", rank=0, world_size=1)
    model = DDP(torch.nn.Linear(10, 10))
