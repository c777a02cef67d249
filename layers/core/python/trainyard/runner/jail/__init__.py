"""What stands between a script and everything else: the last steps before the script, in a process of their own.

`enter.main` runs with the standard library alone (`python -I -S`), so that it is quick and nothing can be slipped into
it, as root where the runner is. It reads a `Plan`, shuts itself in, tells the runner how, and becomes the script.
"""
