"""Settings, training, checkpoints, a run's folder, and the embeddings of a trained network."""
