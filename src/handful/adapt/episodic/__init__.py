"""Networks trained task by task: metric learning and meta-learning, one method a file."""
