"""`dfd evidence`: a folder for each alarm, that can be handed on and checked."""
