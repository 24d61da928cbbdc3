"""Metrics of GPUs: the real NVML where a driver is, and its refusal where none is."""

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from workers.fleet.gpu import Gpu, GpuCollector, read_gpus


def test_a_machine_says_what_gpus_it_has() -> None:
    pytest.importorskip("pynvml", reason="needs nvidia-ml-py: pip install dfd[gpu]")
    gpus = read_gpus()
    assert bool(gpus) == Path("/proc/driver/nvidia/gpus").is_dir()
    assert all(0 <= gpu.utilization <= 1 and 0 < gpu.used_bytes <= gpu.total_bytes for gpu in gpus)


def test_gauges_are_read_at_each_scrape() -> None:
    registry, gpus = CollectorRegistry(), [Gpu(0, 0.25, 10, 40), Gpu(1, 0.0, 1, 40)]
    GpuCollector(registry, lambda: gpus)
    assert registry.get_sample_value("dfd_worker_gpu_utilization_ratio", {"gpu": "0"}) == 0.25
    assert registry.get_sample_value("dfd_worker_gpu_memory_used_bytes", {"gpu": "1"}) == 1
    gpus[:] = []
    assert registry.get_sample_value("dfd_worker_gpu_memory_total_bytes", {"gpu": "0"}) is None
