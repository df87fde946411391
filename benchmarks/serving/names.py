"""What the servers are called, here and on the page."""

OURS, MLFLOW, OWN = "ours", "mlflow models serve", "mlflow models serve, our artefact"
UNLOGGED = "ours, prediction log off"
"""The others keep no log of what they predict."""
BENTOML, LITSERVE, BATCHED = "BentoML", "LitServe", "LitServe, batches of up to 64"
MLSERVER, NAIVE = "MLServer", "naive FastAPI"
FASTAPI, RAW = "FastAPI echo", "raw ASGI echo"
