"""The API, and how versions reach it. The serving process imports neither MLflow nor polars nor dataframely."""
