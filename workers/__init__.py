"""Windows in Redis to scores, verdicts and metrics; and `dfd watch`, which starts everything."""
