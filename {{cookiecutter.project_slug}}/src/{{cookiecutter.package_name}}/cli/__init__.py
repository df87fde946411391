"""`ml`: the verbs. Thin: each parses, calls one function and prints. Heavy libraries are imported inside the verbs."""

from . import canary, daily, data, gate, models, provenance, ready, server, status, template, training  # their verbs
from .root import app, main

__all__ = [
    "app",
    "canary",
    "daily",
    "data",
    "gate",
    "main",
    "models",
    "provenance",
    "ready",
    "server",
    "status",
    "template",
    "training",
]
