"""A run's life outside the pipeline: record, store, runner, worker."""
