import lightning as L
from torch.utils.data import DataLoader, Dataset


class CellsData(L.LightningDataModule):
    def __init__(self, root, transform):
        super().__init__()
        self.root, self.transform = root, transform

    def train_dataloader(self):
        return DataLoader(self.train, batch_size=4)
