import importlib


def get_option_setter(model_name):
    return importlib.import_module("models." + model_name + "_model").modify_commandline_options


def create_model(opt):
    return opt
