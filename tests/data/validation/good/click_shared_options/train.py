import click

from shared import with_output

@click.command()
@with_output
@click.option("--lr", type=float, default=0.1)
def main(lr, output_path):
    click.echo(f"{lr} -> {output_path}")

if __name__ == "__main__":
    main(auto_envvar_prefix="TRAIN")
