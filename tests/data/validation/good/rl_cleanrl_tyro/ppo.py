import os
import random
import time
from dataclasses import dataclass

import gymnasium as gym
import numpy as np
import torch
import tyro
from torch.distributions.categorical import Categorical
from torch.utils.tensorboard import SummaryWriter


@dataclass
class Args:
    exp_name: str = os.path.basename(__file__)[: -len(".py")]
    seed: int = 1
    env_id: str = "CartPole-v1"
    total_timesteps: int = 500000


if __name__ == "__main__":
    args = tyro.cli(Args)
    random.seed(args.seed)
    envs = gym.vector.SyncVectorEnv([lambda: gym.make(args.env_id)])
    writer = SummaryWriter(f"runs/{args.env_id}__{int(time.time())}")
