"""Learning from images without labels: one paper, one module, one class."""
