"""Parse arguments: a yaml file gives the names and the defaults."""
import argparse
import ast
import os
from pprint import pformat

import yaml


class Config:
    def __init__(self, cfg_dict):
        for k, v in cfg_dict.items():
            setattr(self, k, Config(v) if isinstance(v, dict) else v)

    def __str__(self):
        return pformat(self.__dict__)


def parse_cli_to_yaml(parser, cfg, helper=None, choices=None, cfg_path="default_config.yaml"):
    parser = argparse.ArgumentParser(description="[REPLACE THIS at config.py]", parents=[parser])
    helper = {} if helper is None else helper
    for item in cfg:
        if not isinstance(cfg[item], list) and not isinstance(cfg[item], dict):
            help_description = helper[item] if item in helper else "Please reference to {}".format(cfg_path)
            if isinstance(cfg[item], bool):
                parser.add_argument("--" + item, type=ast.literal_eval, default=cfg[item], help=help_description)
            else:
                parser.add_argument("--" + item, type=type(cfg[item]), default=cfg[item], help=help_description)
    return parser.parse_args()


def parse_yaml(yaml_path):
    with open(yaml_path, "r") as fin:
        return yaml.safe_load(fin)


def get_config():
    parser = argparse.ArgumentParser(description="default name", add_help=False)
    current_dir = os.path.dirname(os.path.abspath(__file__))
    parser.add_argument("--config_path", type=str, default=os.path.join(current_dir, "../../config/resnet50.yaml"))
    path_args, _ = parser.parse_known_args()
    default = parse_yaml(path_args.config_path)
    args = parse_cli_to_yaml(parser=parser, cfg=default, cfg_path=path_args.config_path)
    return Config({**default, **vars(args)})


config = get_config()
