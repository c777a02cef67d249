"""LeNet-5 learns handwritten digits: the tutorial's training, written for today's MindSpore.

It takes its data and its starting point from folders and files that the platform prepares, never from the network:

    python train.py --data_url DATASET --output_path OUTPUT [--pretrain_url lenet.ckpt] [--epochs 10]
"""

import argparse
from pathlib import Path

import mindspore as ms
from mindspore import dataset as ds
from mindspore import nn
from mindspore.dataset import transforms, vision
from mindspore.train import Callback, CheckpointConfig, LossMonitor, Model, ModelCheckpoint, TimeMonitor

IMAGE_SIZE = 32
CLASSES = 10


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_url", required=True, help="folder with train/ and test/ in MNIST's idx format")
    parser.add_argument("--pretrain_url", default="", help="checkpoint to start from; empty: start from scratch")
    parser.add_argument("--output_path", default="output", help="folder for the checkpoints")
    parser.add_argument("--aim_repo", default="", help="folder for an Aim repository; empty: none is written")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--learning_rate", type=float, default=0.01)
    return parser.parse_args()


class LeNet5(nn.Cell):
    """Two convolutions and three dense layers, for images of 32 x 32."""

    def __init__(self):
        super().__init__()
        self.features = nn.SequentialCell(
            nn.Conv2d(1, 6, 5, pad_mode="valid"),
            nn.ReLU(),
            nn.MaxPool2d(2, 2),
            nn.Conv2d(6, 16, 5, pad_mode="valid"),
            nn.ReLU(),
            nn.MaxPool2d(2, 2),
        )
        self.classifier = nn.SequentialCell(
            nn.Flatten(),
            nn.Dense(16 * 5 * 5, 120),
            nn.ReLU(),
            nn.Dense(120, 84),
            nn.ReLU(),
            nn.Dense(84, CLASSES),
        )

    def construct(self, images):
        return self.classifier(self.features(images))


def load_digits(folder, usage, batch_size):
    """Batches of images (batch, 1, 32, 32), normalised, and labels (batch,)."""
    digits = ds.MnistDataset(folder, usage=usage, shuffle=usage == "train", num_parallel_workers=1)
    prepare = [
        vision.Resize(IMAGE_SIZE),
        vision.Rescale(1 / 255, 0.0),
        vision.Rescale(1 / 0.3081, -0.1307 / 0.3081),
        vision.HWC2CHW(),
    ]
    digits = digits.map(prepare, "image", num_parallel_workers=1)
    digits = digits.map(transforms.TypeCast(ms.int32), "label", num_parallel_workers=1)
    return digits.batch(batch_size, drop_remainder=usage == "train")


class Evaluation(Callback):
    """Measures the accuracy after each epoch, prints it, and hands it to Aim where that is wanted."""

    def __init__(self, model, digits, aim_run):
        super().__init__()
        self.model, self.digits, self.aim_run = model, digits, aim_run

    def on_train_epoch_end(self, run_context):
        state = run_context.original_args()
        metrics = self.model.eval(self.digits, dataset_sink_mode=False)
        # The line that MindSpore's own Model.fit prints after an epoch.
        print(f"Eval result: epoch {state.cur_epoch_num}, metrics: {metrics}", flush=True)
        if self.aim_run is not None:
            loss = float(state.net_outputs.asnumpy())
            where = {"step": state.cur_step_num, "epoch": state.cur_epoch_num}
            self.aim_run.track(loss, name="loss", context={"subset": "train"}, **where)
            self.aim_run.track(float(metrics["accuracy"]), name="accuracy", context={"subset": "val"}, **where)


def open_aim_run(arguments):
    if not arguments.aim_repo:
        return None
    from aim import Run

    run = Run(repo=arguments.aim_repo, experiment="lenet5", system_tracking_interval=None, capture_terminal_logs=False)
    run["hparams"] = vars(arguments)
    return run


def main():
    arguments = parse_arguments()
    ms.set_seed(1)
    # A graph is compiled once and then takes an eighth of the time of a step run operation by operation.
    ms.set_context(mode=ms.GRAPH_MODE)
    print(f"mindspore {ms.__version__} on {ms.get_context('device_target')}", flush=True)

    network = LeNet5()
    if arguments.pretrain_url:
        ms.load_param_into_net(network, ms.load_checkpoint(arguments.pretrain_url))
        print(f"starting from {Path(arguments.pretrain_url).name}", flush=True)
    model = Model(
        network,
        loss_fn=nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean"),
        optimizer=nn.Momentum(network.trainable_params(), arguments.learning_rate, momentum=0.9),
        metrics={"accuracy"},
    )
    train = load_digits(str(Path(arguments.data_url, "train")), "train", arguments.batch_size)
    test = load_digits(str(Path(arguments.data_url, "test")), "test", arguments.batch_size)
    steps = train.get_dataset_size()
    aim_run = open_aim_run(arguments)
    checkpoints = CheckpointConfig(save_checkpoint_steps=steps, keep_checkpoint_max=3)
    model.train(
        arguments.epochs,
        train,
        callbacks=[
            ModelCheckpoint(prefix="lenet", directory=arguments.output_path, config=checkpoints),
            LossMonitor(steps),
            TimeMonitor(steps),
            Evaluation(model, test, aim_run),
        ],
        dataset_sink_mode=False,
    )
    if aim_run is not None:
        aim_run.close()


if __name__ == "__main__":
    main()
