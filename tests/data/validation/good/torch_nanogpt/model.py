import inspect
from dataclasses import dataclass

import torch
import torch.nn as nn


@dataclass
class GPTConfig:
    block_size: int = 1024
    n_layer: int = 12


class GPT(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config

    @classmethod
    def from_pretrained(cls, model_type, override_args=None):
        assert model_type in {"gpt2", "gpt2-medium"}
        from transformers import GPT2LMHeadModel
        return GPT2LMHeadModel.from_pretrained(model_type)
