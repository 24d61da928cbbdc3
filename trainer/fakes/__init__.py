"""Pseudo-fakes, made of real faces; the clips that are filmed of them; pairs and batches of real and fake."""
