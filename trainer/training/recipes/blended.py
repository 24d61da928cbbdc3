"""Self-blended and swapped faces under stronger degradations than selfblend-long's, which it goes on from."""

from trainer.fakes.degrade import Degradation
from trainer.fakes.sampling import Sampling
from trainer.networks.architecture import Architecture
from trainer.training.optimisation import Optimisation
from trainer.training.recipes import Recipe

RECIPE = Recipe(
    name="blended",
    architecture=Architecture(size=160, serving_size=192),
    optimisation=Optimisation(epochs=10, steps=150, rate=4e-4, frozen=((0, 2),), ema=0.995),
    sampling=Sampling(
        pairs=12,
        draws=2,
        fakes={"self_blended": 0.75, "swapped": 0.25},
        degradation=Degradation(
            codecs=("libx264", "libx264", "libx264", "mpeg2video", "mpeg4"),
            crf=(17, 41),
            saturation=(0.6, 1.8),
            rescale_share=0.45,
            rescale=3.0,
            jpeg_quality=(25, 95),
            blur_share=0.25,
            sharpen_share=0.15,
            smooth_share=0.1,
        ),
    ),
)
