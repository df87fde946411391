"""From a dataset to a registered version: fit, evaluate, prove, register, promote. Only this imports MLflow."""
