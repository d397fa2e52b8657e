"""What a run needs of its surroundings: settings, metrics, logs."""
