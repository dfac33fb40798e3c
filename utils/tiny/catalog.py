# SPDX-License-Identifier: Apache-2.0
"""All tiny models by architecture and variant."""
from . import layer_norm_models, rms_models

VARIANTS = {**rms_models.VARIANTS, **layer_norm_models.VARIANTS}


def build(arch, variant):
    options = VARIANTS[arch][variant]
    builder = layer_norm_models.BUILDERS.get(arch, rms_models.build)
    return builder(arch, variant, options), options
