"""What every process of dfd does alike: logs, signals, /metrics."""
