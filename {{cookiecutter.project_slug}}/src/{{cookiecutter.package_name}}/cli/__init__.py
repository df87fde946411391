"""`ml`: the verbs. Thin: each parses, calls one function and prints. Heavy libraries are imported inside the verbs."""

from . import daily, data, gate, keys, models, provenance, ready, requests, server, status, template, training  # verbs
from .root import app, main

__all__ = [
    "app",
    "daily",
    "data",
    "gate",
    "keys",
    "main",
    "models",
    "provenance",
    "ready",
    "requests",
    "server",
    "status",
    "template",
    "training",
]
