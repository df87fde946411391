"""The shared transform: the folder that travels with every model version.

At training it is copied under a name that carries the hash of its source and imported under that name, so a version
keeps the feature code it was trained with. It therefore imports numpy, scikit-learn and itself, nothing else.
"""

from .features import FEATURES
from .transformer import Transformer

__all__ = ["FEATURES", "Transformer"]
