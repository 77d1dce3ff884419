"""Published face-keypoint systems: networks, missing values and habits of those who worked on Kaggle's 15 points."""
