import argparse
import os
from distutils.util import strtobool

import gym
import torch


def parse_args():
    # fmt: off
    parser = argparse.ArgumentParser()
    parser.add_argument("--exp-name", type=str, default=os.path.basename(__file__).rstrip(".py"))
    parser.add_argument("--torch-deterministic", type=lambda x: bool(strtobool(x)), default=True, nargs="?", const=True)
    parser.add_argument("--track", type=lambda x: bool(strtobool(x)), default=False, nargs="?", const=True)
    parser.add_argument("--env-id", type=str, default="CartPole-v1")
    parser.add_argument("--output_path", type=str, default="runs")
    args = parser.parse_args()
    # fmt: on
    return args


if __name__ == "__main__":
    args = parse_args()
    if args.track:
        import wandb

        wandb.init(project="cleanRL")
    torch.backends.cudnn.deterministic = args.torch_deterministic
    env = gym.make(args.env_id)
