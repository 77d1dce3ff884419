"""What `import fkp_edge` gives: pictures and frames in, records out. The names that count stand in `fkp_edge`."""
