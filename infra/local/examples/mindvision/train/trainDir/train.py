"""Fine-tune LeNet-5 on handwritten digits with mindvision, as the tutorial's adapted script uses it."""

import argparse

from mindvision.classification.dataset import Mnist
from mindvision.classification.models import lenet
from mindvision.engine.callback import LossMonitor

import mindspore.nn as nn
from mindspore import load_checkpoint, load_param_into_net
from mindspore.train import Model
from mindspore.train.callback import CheckpointConfig, ModelCheckpoint


def parse_args():
    parser = argparse.ArgumentParser(description="fine-tune lenet")
    parser.add_argument("--pretrain_url", type=str, default="", help="the checkpoint to start from")
    parser.add_argument("--data_url", type=str, default="", help="the data set")
    parser.add_argument("--output_path", type=str, default="", help="where the checkpoints go")
    return parser.parse_args()


def train(args):
    network = lenet(num_classes=10, pretrained=False)
    load_param_into_net(network, load_checkpoint(args.pretrain_url))

    loss = nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean")
    optimizer = nn.Momentum(network.trainable_params(), learning_rate=0.01, momentum=0.9)
    model = Model(network, loss_fn=loss, optimizer=optimizer, metrics={"accuracy"})

    digits = Mnist(
        path=args.data_url, split="train", batch_size=32, repeat_num=1, shuffle=True, resize=32, download=True
    ).run()
    steps = digits.get_dataset_size()
    checkpoints = CheckpointConfig(save_checkpoint_steps=steps, keep_checkpoint_max=10)
    saver = ModelCheckpoint(prefix="lenet", directory=args.output_path, config=checkpoints)
    model.train(10, digits, callbacks=[saver, LossMonitor(0.01, steps)])


if __name__ == "__main__":
    train(parse_args())
