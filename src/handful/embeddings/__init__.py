"""Room embeddings."""
