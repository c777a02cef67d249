from __future__ import absolute_import, division, print_function

import os
import sys

__dir__ = os.path.dirname(os.path.abspath(__file__))
sys.path.append(__dir__)
sys.path.insert(0, os.path.abspath(os.path.join(__dir__, "..")))

import argparse

import cv2
import numpy as np
import paddle
import paddle.nn.functional as F

from ppocr.utils.logging import get_logger


def str2bool(v):
    return v.lower() in ("true", "yes", "t", "y", "1")


def init_args():
    parser = argparse.ArgumentParser()
    parser.add_argument("--use_gpu", type=str2bool, default=True)
    parser.add_argument("--dataset_dir", type=str)
    parser.add_argument("--output_path", type=str, default="./output")
    parser.add_argument("--epoch_num", type=int, default=500)
    parser.add_argument("-o", "--opt", nargs="+", help="set configuration options")
    return parser


def main():
    args = init_args().parse_args()
    paddle.set_device("gpu" if args.use_gpu else "cpu")
    logger = get_logger()
    if args.dataset_dir is None:
        raise ValueError("--dataset_dir is needed")
    logger.info("train with paddle %s", paddle.__version__)


if __name__ == "__main__":
    main()
