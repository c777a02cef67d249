"""Train.

Usage:
  train.py --train=<csv> [--output_path=<dir>] [--depth=<n>]
"""
import pandas as pd
from catboost import CatBoostClassifier, Pool
from docopt import docopt

arguments = docopt(__doc__)
frame = pd.read_csv(arguments["--train"])
CatBoostClassifier(depth=int(arguments["--depth"] or 6), verbose=10).fit(Pool(frame.drop(columns="Survived"), frame["Survived"]))
