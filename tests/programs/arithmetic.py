"""Numbers of 16 bits are used where the processor, or an accelerator, computes with them: FOLDER"""

import pathlib
import sys

import keras

from trainer.networks import arithmetic

kept = arithmetic.CPU_INFO, arithmetic._has_accelerator
arithmetic.CPU_INFO = pathlib.Path(sys.argv[1]) / "cpuinfo"
try:
    for told, accelerated, policy in (
        (None, False, "mixed_bfloat16"),  # says nothing
        ("flags : fpu avx512f avx512_vnni", False, "float32"),
        ("flags : fpu avx512f avx512_vnni", True, "mixed_bfloat16"),  # the accelerator computes
        ("flags : fpu avx512f avx512_bf16", False, "mixed_bfloat16"),
        ("Features : fp asimd bf16", False, "mixed_bfloat16"),
    ):
        arithmetic._has_accelerator = lambda there=accelerated: there
        if told:
            arithmetic.CPU_INFO.write_text(told)
        arithmetic.use_fast_arithmetic(threads=1)
        assert keras.mixed_precision.global_policy().name == policy, told
    arithmetic.use_fast_arithmetic(threads=1, mixed_precision=False)
    assert keras.mixed_precision.global_policy().name == "float32"
finally:
    arithmetic.CPU_INFO, arithmetic._has_accelerator = kept
    keras.mixed_precision.set_global_policy("float32")

listed = keras.distribution.list_devices
try:
    for devices, there in ((["cpu:0"], False), (["gpu:0"], True), (["cpu:0", "tpu:0"], True)):
        keras.distribution.list_devices = lambda listed=devices: listed
        assert arithmetic._has_accelerator() is there, devices
finally:
    keras.distribution.list_devices = listed
