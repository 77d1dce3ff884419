"""Where a face may be in a whole frame: Haar, rotated detection, and the search that runs them."""
