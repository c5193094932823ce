"""Room project."""
