"""What the GPUs of a worker's machine do, read by NVML (package nvidia-ml-py) at each scrape."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU by its index: share of the last moments in which it computed, 0 to 1, and its memory in bytes."""

    index: int
    utilization: float
    used_bytes: int
    total_bytes: int


def read_gpus() -> list[Gpu]:
    """All GPUs; none where there is no driver, or no nvidia-ml-py."""
    try:
        nvml = importlib.import_module("pynvml")
    except ImportError:
        return []
    with suppress(nvml.NVMLError):  # no driver, or one that does not answer
        nvml.nvmlInit()
        return [_read(nvml, index) for index in range(nvml.nvmlDeviceGetCount())]
    return []


class GpuCollector(Collector):
    """Three gauges a GPU, in the `registry` that is passed in; without GPUs they have no samples."""

    def __init__(self, registry: CollectorRegistry, read: Callable[[], Sequence[Gpu]] = read_gpus) -> None:
        self._read = read
        registry.register(self)

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Read the GPUs now."""
        gpus = self._read()
        for name, text, field in (
            ("dfd_worker_gpu_utilization_ratio", "Share of time in which it computed.", "utilization"),
            ("dfd_worker_gpu_memory_used_bytes", "Of whoever uses it.", "used_bytes"),
            ("dfd_worker_gpu_memory_total_bytes", "What it has.", "total_bytes"),
        ):
            family = GaugeMetricFamily(name, text, labels=["gpu"])
            for gpu in gpus:
                family.add_metric([str(gpu.index)], getattr(gpu, field))
            yield family


def _read(nvml: Any, index: int) -> Gpu:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    return Gpu(index, nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100, int(memory.used), int(memory.total))
