from absl import app
from absl import flags
from absl import logging

import tensorflow as tf

import hparams

FLAGS = flags.FLAGS
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Where the records lie.", required=True)
flags.DEFINE_string("output_path", "/tmp/mlp", "Where checkpoints go.")
flags.DEFINE_bool("use_bias", True, "Bias in dense layers.")


def main(argv):
    if len(argv) > 3:
        raise app.UsageError("Too many command-line arguments.")
    logging.info("steps: %d from %s", FLAGS.train_steps, _DATA_DIR.value)
    model = tf.keras.Sequential([tf.keras.layers.Dense(10, use_bias=FLAGS.use_bias)])
    model.save_weights(FLAGS.output_path + "/model.weights.h5")


if __name__ == "__main__":
    app.run(main)
