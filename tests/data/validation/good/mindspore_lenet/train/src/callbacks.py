from mindspore.train.callback import Callback


class EvalCallback(Callback):
    """在每个 epoch 结束时打印：第几轮、准确率。"""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def on_train_epoch_end(self, run_context):
        print(f"第 {run_context.original_args().cur_epoch_num} 轮（完）")
