"""Learning from a few labelled images and many without a label."""
