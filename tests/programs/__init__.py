"""Programs that tests run: in the process that has Keras, or in one of their own."""
