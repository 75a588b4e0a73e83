"""What a run leaves behind beside its logs: samples, data sets, predictions. Read lazily, bounded, without executing any of it."""
