import argparse
import pathlib
import typing as t

import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pandas as pd
from statsmodels.tsa.holtwinters import ExponentialSmoothing


def _args() -> argparse.Namespace:
    cli = argparse.ArgumentParser("forecast")
    io = cli.add_argument_group("files")
    io.add_argument("--series", type=pathlib.Path, required=True)
    io.add_argument("--output_path", type=pathlib.Path, default=pathlib.Path("."))
    model = cli.add_mutually_exclusive_group()
    model.add_argument("--season", type=int, default=24)
    model.add_argument("--no-season", dest="season", action="store_const", const=None)
    cli.add_argument("--horizon", type=int, default=24)
    return cli.parse_args()


def fit(series: pd.Series, season: t.Optional[int]):
    return ExponentialSmoothing(series, seasonal="add" if season else None, seasonal_periods=season).fit()


args = _args()
frame = pd.read_parquet(args.series)
forecast = fit(frame.iloc[:, 0], args.season).forecast(args.horizon)
forecast.plot()
plt.savefig(args.output_path / "forecast.png")
