"""`ml`: the verbs. Thin: each parses, calls one function and prints. Heavy libraries are imported inside the verbs."""

from . import daily, data, gate, models, provenance, server, status, template, training  # each registers its verbs
from .root import app, main

__all__ = ["app", "daily", "data", "gate", "main", "models", "provenance", "server", "status", "template", "training"]
