import os

import mindspore as ms
from mindspore import Model, nn
from src.model_utils.config import config
from src.model_utils.moxing_adapter import moxing_wrapper

ms.set_seed(1)


@moxing_wrapper(pre_process=None)
def train_net():
    os.makedirs(config.output_path, exist_ok=True)
    print("data:", config.data_path)


if __name__ == "__main__":
    train_net()
