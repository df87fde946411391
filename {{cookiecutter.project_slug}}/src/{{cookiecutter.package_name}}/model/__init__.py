"""What a model version is: its folder on disk, its request model, its answers and its proof. No MLflow, no polars."""
