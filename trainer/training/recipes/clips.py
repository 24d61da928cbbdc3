"""Real-world fakes against the real faces of their pages, with blended ones beside them; from a blended start."""

from trainer.fakes.degrade import Degradation
from trainer.fakes.sampling import Sampling
from trainer.networks.architecture import Architecture
from trainer.training.optimisation import Optimisation
from trainer.training.recipes import Recipe

RECIPE = Recipe(
    name="clips",
    architecture=Architecture(size=192),
    optimisation=Optimisation(epochs=4, steps=400, rate=4e-4, frozen=((0, 4),), ema=0.998),
    sampling=Sampling(
        pairs=16,
        fakes={"self_blended": 0.3, "swapped": 0.1, "real": 0.6},
        capped="",
        degradation=Degradation(
            untouched_share=0.35,
            face_px=(100, 288),
            codecs=("libx264", "libx264", "libx264", "libx264", "libx265", "libvpx-vp9", "libvpx-vp9", "mpeg4"),
            crf=(18, 42),
            codec_share=0.5,
            saturation=(0.7, 1.5),
            rescale_share=0.35,
            rescale=3.0,
            jpeg_quality=(30, 95),
            noise_share=0.25,
            sharpen_share=0.1,
            smooth_share=0.1,
        ),
    ),
)
