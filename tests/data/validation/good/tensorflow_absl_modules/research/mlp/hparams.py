from absl import flags

flags.DEFINE_integer("train_steps", 10_000, "Steps.", lower_bound=1)
flags.DEFINE_enum("optimizer", "adam", ["adam", "sgd"], "Which one.")
flags.DEFINE_multi_float("milestones", [0.5, 0.75], "Where the rate falls.")
