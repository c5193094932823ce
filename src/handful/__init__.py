"""Image classifiers from a handful of labels."""

__version__ = "0.1.0"
