"""Networks that are trained or searched: trunks, files, what they serve as, and `dfd export`."""
