"""`ml`: the verbs. Thin: each parses, calls one function and prints. Heavy libraries are imported inside the verbs."""

from . import data, models, server, template  # registers the verbs, in the order of the help
from .root import app, main

__all__ = ["app", "data", "main", "models", "server", "template"]
