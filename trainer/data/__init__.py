"""Data sets: from folders of video and pictures to one HDF5 file of face windows, and back."""
