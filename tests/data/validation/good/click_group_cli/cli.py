import functools

import click


def common_options(function):
    @click.option("--output_path", default=".")
    @click.option("--seed", default=0)
    @functools.wraps(function)
    def wrapped(*args, **kwargs):
        return function(*args, **kwargs)
    return wrapped


@click.group(invoke_without_command=True, context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
@click.pass_context
def cli(ctx):
    if ctx.invoked_subcommand is None:
        ctx.invoke(train)


@cli.command()
@common_options
@click.option("--epochs", default=1)
def train(output_path, seed, epochs):
    print(output_path, seed, epochs)


if __name__ == "__main__":
    cli()
