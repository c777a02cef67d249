import argparse
import tomllib
from pathlib import Path

import lightgbm as lgb
from sklearn.datasets import load_svmlight_file


def cli(argv: list[str] | None = None) -> argparse.Namespace:
    p = argparse.ArgumentParser(prog="rank", fromfile_prefix_chars="@")
    p.add_argument("-c", "--config", type=Path, required=True)
    p.add_argument("--folder", type=Path, required=True)
    p.add_argument("--output_path", type=Path, default=Path())
    return p.parse_args(argv)


def main(argv=None) -> int:
    opts = cli(argv)
    params = tomllib.loads(opts.config.read_text())["lightgbm"]
    x, y, q = load_svmlight_file(str(opts.folder / "train.txt"), query_id=True)
    model = lgb.train(params, lgb.Dataset(x, y), callbacks=[lgb.log_evaluation(10)])
    model.save_model(str(opts.output_path / "model.txt"))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
