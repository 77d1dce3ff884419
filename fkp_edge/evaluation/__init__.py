"""Accuracy on labelled faces: metrics, one model, and two models compared."""
