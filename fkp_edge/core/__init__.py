"""What every part shares: records, keypoint schemas, crop geometry, files, settings. Imports no stage."""
