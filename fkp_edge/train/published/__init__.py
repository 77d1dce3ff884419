"""Published face-keypoint systems: networks, missing values and habits of those who worked on Kaggle's 15 points."""

from __future__ import annotations

from fkp_edge.train.published.run import train_knn, train_published

__all__ = ["train_knn", "train_published"]
