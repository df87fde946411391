"""`ml`: the verbs. Thin: each parses, calls one function and prints. Heavy libraries are imported inside the verbs."""

from . import (  # the verbs
    alerts,
    calibrate,
    canary,
    daily,
    data,
    gate,
    keys,
    models,
    monitor,
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
    "alerts",
    "app",
    "calibrate",
    "canary",
    "daily",
    "data",
    "gate",
    "keys",
    "main",
    "models",
    "monitor",
    "provenance",
    "ready",
    "requests",
    "server",
    "status",
    "template",
    "training",
]
