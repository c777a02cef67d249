import logging

import jieba
from gensim.models import Word2Vec


class Sentences:
    def __init__(self, folder):
        self.folder = folder

    def __iter__(self):
        for file in sorted(self.folder.glob("*.txt")):
            for line in file.open(encoding="utf-8"):
                yield list(jieba.cut(line.strip()))


def train(args):
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    model = Word2Vec(Sentences(args.corpus), vector_size=args.vector_size, window=args.window, sg=int(args.sg))
    model.save(str(args.output_path / "vectors.kv"))
