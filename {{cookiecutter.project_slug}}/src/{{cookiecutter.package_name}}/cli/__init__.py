"""`ml`: the verbs. Thin: each parses, calls one function and prints. Heavy libraries are imported inside the verbs."""

from . import (  # the verbs
    calibrate,
    canary,
    daily,
    data,
    gate,
    keys,
    models,
    provenance,
    ready,
    requests,
    server,
    status,
    template,
    training,
)
from .root import app, main

__all__ = [
    "app",
    "calibrate",
    "canary",
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
