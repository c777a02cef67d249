from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
import xgboost as xgb

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def train(
    data: Annotated[Path, typer.Option(help="Folder with train.csv", exists=True)],
    output: Annotated[Path, typer.Option("--output_path", "-o")] = Path("."),
    depth: Annotated[int, typer.Option(min=1, max=20)] = 6,
    eta: float = 0.3,
    rounds: int = typer.Option(100, help="Boosting rounds"),
    gpu: bool = False,
    seed: int | None = None,
) -> None:
    frame = pd.read_csv(data / "train.csv")
    matrix = xgb.DMatrix(frame.drop(columns="price"), frame["price"])
    booster = xgb.train({"max_depth": depth, "eta": eta, "device": "cuda" if gpu else "cpu", "seed": seed or 0},
                        matrix, rounds, evals=[(matrix, "train")], verbose_eval=10)
    booster.save_model(output / "model.json")


if __name__ == "__main__":
    app()
