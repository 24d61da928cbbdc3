"""Adversarial training: the plain dense pair of the original work, and a convolutional one that earns its place."""
