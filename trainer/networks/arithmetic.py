"""How networks compute while they are trained: precision, threads, memory; Keras 3 on any backend."""

from __future__ import annotations

import ctypes
from pathlib import Path

import keras

from trainer.networks.keras_patches import keep_channels_last

CPU_INFO = Path("/proc/cpuinfo")
HARDWARE_BFLOAT16 = ("avx512_bf16", "amx_bf16", "bf16")  # what CPUs that have it call it; the last is ARM's
KEPT_MEMORY = {-4: 0, -1: 2**31 - 1, -2: 2**28}  # mallopt(3): M_MMAP_MAX, M_TRIM_THRESHOLD, M_TOP_PAD, in bytes


def use_fast_arithmetic(threads: int, mixed_precision: bool = True) -> None:
    """Bfloat16 with float32 weights where the processor has it; under PyTorch, denormals as zeros and memory kept.

    Together a factor of four on a CPU with AMX; `benchmarks/learner.py` measures it on any other.
    """
    torch_here = keras.backend.backend() == "torch"
    mixed = mixed_precision and not _emulates_bfloat16()
    keras.mixed_precision.set_global_policy("mixed_bfloat16" if mixed else "float32")
    if torch_here:
        import torch

        torch.set_flush_denormal(True)
        torch.set_num_threads(threads)
        keep_channels_last()
        _keep_memory()


def _emulates_bfloat16() -> bool:
    """Whether training is on a CPU that says it has no bfloat16: emulated, it is slower than float32."""
    told = CPU_INFO.read_text().split() if CPU_INFO.is_file() else []  # systems without that file do not tell
    return bool(told) and not _has_accelerator() and not set(told) & set(HARDWARE_BFLOAT16)


def _has_accelerator() -> bool:
    if keras.backend.backend() == "torch":  # Keras lists no devices of it
        import torch

        return bool(torch.cuda.is_available())
    return any(not name.startswith("cpu") for name in keras.distribution.list_devices())


def _keep_memory() -> None:
    """Let glibc keep freed memory for the next step: without, fresh pages cost a third of the pictures a second."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option, value in KEPT_MEMORY.items():
            mallopt(option, value)
