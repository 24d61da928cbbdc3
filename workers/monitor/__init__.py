"""`dfd monitor`: results in order to verdicts, metrics and sinks."""
