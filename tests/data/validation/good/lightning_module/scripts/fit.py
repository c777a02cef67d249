import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "src"))

import albumentations as A
import lightning as L
import segmentation_models_pytorch as smp
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger

from cells.data import CellsData


class Segmenter(L.LightningModule):
    def __init__(self, encoder: str, lr: float = 1e-3):
        super().__init__()
        self.save_hyperparameters()
        self.net = smp.Unet(encoder, encoder_weights=None, classes=1)

    @staticmethod
    def add_model_specific_args(parent: ArgumentParser) -> ArgumentParser:
        parser = parent.add_argument_group("Segmenter")
        parser.add_argument("--encoder", type=str, default="resnet34")
        parser.add_argument("--lr", type=float, default=1e-3)
        return parent

    def training_step(self, batch, batch_idx):
        x, y = batch
        loss = torch.nn.functional.binary_cross_entropy_with_logits(self.net(x), y)
        self.log("train_loss", loss, prog_bar=True)
        return loss

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=self.hparams.lr)


def main(args: Namespace) -> None:
    L.seed_everything(42)
    trainer = L.Trainer(max_epochs=args.max_epochs, logger=CSVLogger(args.output_path),
                        callbacks=[ModelCheckpoint(args.output_path, monitor="train_loss")])
    trainer.fit(Segmenter(args.encoder, args.lr), CellsData(args.data_root, A.Compose([A.Normalize()])))


if __name__ == "__main__":
    parser = ArgumentParser()
    parser.add_argument("--data_root", type=Path, required=True)
    parser.add_argument("--output_path", type=Path, default=Path("out"))
    parser.add_argument("--max_epochs", type=int, default=10)
    parser = Segmenter.add_model_specific_args(parser)
    main(parser.parse_args())
