"""From a day upstream to a frozen dataset: contract, ingest, partitions, dataset."""
