"""`ml`: the verbs. Thin: each parses, calls one function and prints. Heavy libraries are imported inside the verbs."""

from . import data, gate, models, server, training, versions  # registers the verbs, in the order of the help
from .root import app, main

__all__ = ["app", "data", "gate", "main", "models", "server", "training", "versions"]
