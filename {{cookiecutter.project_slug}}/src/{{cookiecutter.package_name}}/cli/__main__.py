"""`python -m package.cli`: the same as `ml`, where the environment's scripts are not on the path."""

from .root import app

app(prog_name="ml")
