# SPDX-License-Identifier: Apache-2.0
"""All tiny models by architecture and variant."""
from . import layer_norm_models, rms_models

VARIANTS = {**rms_models.VARIANTS, **layer_norm_models.VARIANTS}


def build(arch, variant, layers=None):
    """(model, options) of a row of VARIANTS, with another number of layers if `layers` is given."""
    options = {**VARIANTS[arch][variant], **({"layers": layers} if layers else {})}
    family = layer_norm_models if arch in layer_norm_models.VARIANTS else rms_models
    return family.build(arch, variant, options), options
