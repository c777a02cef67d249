import logging
from pathlib import Path

import click
import joblib
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

log = logging.getLogger(__name__)


@click.command(help="Train the churn model.")
@click.option("--data-file", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=True)
@click.option("--output_path", "output", type=click.Path(path_type=Path), default=Path("."), show_default=True)
@click.option("-n", "--trees", type=click.IntRange(1, 5000), default=100)
@click.option("--criterion", type=click.Choice(["gini", "entropy"]), default="gini")
@click.option("--verbose/--quiet", default=False)
@click.version_option("1.0")
def main(data_file: Path, output: Path, trees: int, criterion: str, verbose: bool) -> None:
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO)
    frame = pd.read_csv(data_file)
    y = frame.pop("churn")
    columns = ColumnTransformer([("words", OneHotEncoder(handle_unknown="ignore"), ["plan"]),
                                 ("numbers", StandardScaler(), ["months"])])
    model = make_pipeline(columns, RandomForestClassifier(trees, criterion=criterion, random_state=0))
    x_train, x_test, y_train, y_test = train_test_split(frame, y, stratify=y)
    model.fit(x_train, y_train)
    print({"epoch": 1, "f1": f1_score(y_test, model.predict(x_test))})
    joblib.dump(model, output / "model.joblib")


if __name__ == "__main__":
    main()
