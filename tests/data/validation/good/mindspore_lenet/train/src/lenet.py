from mindspore import nn
from mindspore.common.initializer import Normal


class LeNet5(nn.Cell):
    def __init__(self, num_classes=10, num_channel=1):
        super().__init__()
        self.conv1 = nn.Conv2d(num_channel, 6, 5, pad_mode="valid")
        self.conv2 = nn.Conv2d(6, 16, 5, pad_mode="valid")
        self.fc1 = nn.Dense(16 * 5 * 5, 120, weight_init=Normal(0.02))
        self.fc2 = nn.Dense(120, num_classes)

    def construct(self, x):
        return self.fc2(self.fc1(self.conv2(self.conv1(x))))
