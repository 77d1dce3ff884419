"""Training, on a desktop. Importing any of it needs the extra `train`; what is missing is said first of all."""

from __future__ import annotations

from fkp_edge.train import backend as backend
