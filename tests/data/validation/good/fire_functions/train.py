import string
from pathlib import Path

import fire
import torch
from torch import nn

LETTERS = string.ascii_letters + " .,;'"


class RNN(nn.Module):
    def __init__(self, size: int, hidden: int, classes: int):
        super().__init__()
        self.i2h = nn.Linear(size + hidden, hidden)
        self.h2o = nn.Linear(hidden, classes)


def train(data_dir: str, output_path: str = ".", *, hidden_size: int = 64, steps: int = 1000, seed: int = 0) -> None:
    """Character-level names."""
    torch.manual_seed(seed)
    names = {file.stem: file.read_text(encoding="utf-8").split() for file in Path(data_dir).glob("*.txt")}
    model = RNN(len(LETTERS), hidden_size, len(names))
    torch.save(model.state_dict(), Path(output_path) / "rnn.pt")


if __name__ == "__main__":
    fire.Fire(train)
