import math
import os
import pickle
import time

import numpy as np
import torch

from model import GPT, GPTConfig

out_dir = "out"
max_iters = 600000
n_layer = 12
compile = True
config_keys = [k for k, v in globals().items() if not k.startswith("_") and isinstance(v, (int, float, bool, str))]
exec(open("configurator.py").read())  # overrides from command line or config file
config = {k: globals()[k] for k in config_keys}


def get_lr(it):
    return 6e-4 * min(1.0, it / 2000) * (0.5 * (1.0 + math.cos(math.pi * it / max_iters)))


model = GPT(GPTConfig(n_layer=n_layer))
for iter_num in range(max_iters):
    t0 = time.time()
    print(f"iter {iter_num}: loss {0.0:.4f}, time {(time.time() - t0) * 1000:.2f}ms")
