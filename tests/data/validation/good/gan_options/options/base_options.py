import argparse
import os

import models


class BaseOptions:
    def __init__(self):
        self.initialized = False

    def initialize(self, parser):
        parser.add_argument("--dataroot", required=True, help="path to images")
        parser.add_argument("--name", type=str, default="experiment_name")
        parser.add_argument("--netG", type=str, default="resnet_9blocks")
        self.initialized = True
        return parser

    def gather_options(self):
        if not self.initialized:
            parser = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
            parser = self.initialize(parser)
        opt, _ = parser.parse_known_args()
        model_option_setter = models.get_option_setter("cycle_gan")
        parser = model_option_setter(parser, True)
        self.parser = parser
        return parser.parse_args()

    def parse(self):
        opt = self.gather_options()
        os.makedirs(opt.name, exist_ok=True)
        return opt
