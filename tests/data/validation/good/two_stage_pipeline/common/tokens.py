class Vocabulary(dict):
    def __init__(self, folder):
        super().__init__()
        self.folder = folder
