import argparse

import mindspore as ms
from mindcv.data import create_dataset, create_loader, create_transforms
from mindcv.loss import create_loss
from mindcv.models import create_model
from mindcv.optim import create_optimizer


def str2bool(value):
    if isinstance(value, bool):
        return value
    if value.lower() in ("yes", "true", "t", "y", "1"):
        return True
    if value.lower() in ("no", "false", "f", "n", "0"):
        return False
    raise argparse.ArgumentTypeError("Boolean value expected.")


def create_parser():
    parser = argparse.ArgumentParser("MindCV finetune")
    group = parser.add_argument_group("Dataset parameters")
    group.add_argument("--data_dir", type=str, default="./")
    group.add_argument("--batch_size", type=int, default=16)
    group = parser.add_argument_group("Model parameters")
    group.add_argument("--model", type=str, default="densenet121")
    group.add_argument("--pretrained", type=str2bool, nargs="?", const=True, default=False)
    group.add_argument("--output_path", "--ckpt_save_dir", type=str, default="./ckpt")
    group.add_argument("--epoch_size", type=int, default=90, metavar="N")
    return parser


def main():
    args = create_parser().parse_args()
    network = create_model(args.model, num_classes=2, pretrained=args.pretrained)
    loader = create_loader(create_dataset("", root=args.data_dir), args.batch_size)
    loss = create_loss("CE")
    optimizer = create_optimizer(network.trainable_params(), opt="adam", lr=1e-4)
    ms.Model(network, loss, optimizer, metrics={"accuracy"}).train(args.epoch_size, loader)


if __name__ == "__main__":
    main()
