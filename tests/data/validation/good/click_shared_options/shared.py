import click

def with_output(f):
    return click.option("--output_path", default=".")(f)
