"""fkp-edge: face keypoints from training data to a Raspberry Pi camera and a socket."""

__version__ = "0.1.0"
__all__ = ["__version__"]
