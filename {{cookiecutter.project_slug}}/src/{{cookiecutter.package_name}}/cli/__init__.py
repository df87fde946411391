"""`ml`: the verbs. Thin: each parses, calls one function and prints. Heavy libraries are imported inside the verbs."""

from . import daily, data, gate, models, provenance, ready, requests, server, status, template, training  # the verbs
from .root import app, main

__all__ = [
    "app",
    "daily",
    "data",
    "gate",
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
