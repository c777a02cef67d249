import argparse
import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
from keras import layers

VOCABULARY = 20_000


def build(embedding_dim: int) -> keras.Model:
    inputs = keras.Input(shape=(None,), dtype="int64")
    x = layers.Embedding(VOCABULARY, embedding_dim)(inputs)
    x = layers.Bidirectional(layers.LSTM(64))(x)
    model = keras.Model(inputs, layers.Dense(1, activation="sigmoid")(x))
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data_url", required=True)
    parser.add_argument("--output_path", default=".")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--embedding-dim", type=int, default=128)
    args = vars(parser.parse_args())
    (x_train, y_train), (x_val, y_val) = keras.datasets.imdb.load_data(path=args["data_url"], num_words=VOCABULARY)
    x_train = keras.utils.pad_sequences(x_train, maxlen=200)
    model = build(args["embedding_dim"])
    model.fit(x_train, np.asarray(y_train), batch_size=32, epochs=args["epochs"], validation_split=0.1, verbose=2)
    model.save(os.path.join(args["output_path"], "model.keras"))
