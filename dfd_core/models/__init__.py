"""Networks: the store with its model cards, and the runtimes behind one seam."""
