"""训练 LeNet-5（手写数字识别）。"""
import argparse
import os

import mindspore as ms
from mindspore import nn
from mindspore.dataset import MnistDataset, transforms, vision
from mindspore.train import CheckpointConfig, LossMonitor, Model, ModelCheckpoint, TimeMonitor

from src.lenet import LeNet5
from src.callbacks import EvalCallback


def parse_args():
    parser = argparse.ArgumentParser(description="train lenet5",
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--data_url", type=str, default="./mnist", help="数据集目录")
    parser.add_argument("--pretrain_url", type=str, default="", help="预训练权重")
    parser.add_argument("--output_path", type=str, default="./output", help="输出目录")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--mode", type=str, default="GRAPH", choices=["GRAPH", "PYNATIVE"])
    return parser.parse_args()


def create_dataset(folder, batch_size, usage):
    dataset = MnistDataset(os.path.join(folder, usage), shuffle=usage == "train")
    dataset = dataset.map([vision.Resize(32), vision.Rescale(1.0 / 255.0, 0), vision.HWC2CHW()], "image")
    dataset = dataset.map(transforms.TypeCast(ms.int32), "label")
    return dataset.batch(batch_size, drop_remainder=True)


def main(args):
    ms.set_context(mode=getattr(ms, f"{args.mode}_MODE"), device_target="CPU")
    network = LeNet5(num_classes=10)
    if args.pretrain_url:
        ms.load_param_into_net(network, ms.load_checkpoint(args.pretrain_url))
    loss = nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean")
    optimizer = nn.Momentum(network.trainable_params(), learning_rate=args.lr, momentum=0.9)
    model = Model(network, loss, optimizer, metrics={"accuracy"})
    train_set = create_dataset(args.data_url, args.batch_size, "train")
    checkpoints = ModelCheckpoint("lenet", args.output_path, CheckpointConfig(keep_checkpoint_max=3))
    model.train(args.epochs, train_set, callbacks=[LossMonitor(100), TimeMonitor(), checkpoints, EvalCallback(model)])


if __name__ == "__main__":
    main(parse_args())
