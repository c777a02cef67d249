import argparse

from fairseq import options

parser = options.get_training_parser()
args = options.parse_args_and_arch(parser)
extra = options.get_generation_parser().parse_args()
