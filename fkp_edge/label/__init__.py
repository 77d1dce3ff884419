"""Labels for pictures that have none: a teacher marks the points of each face, and face chips with them are kept."""

from __future__ import annotations

from fkp_edge.data.chips import Chip, cut_chip
from fkp_edge.label.run import Labelled, Labelling, label
from fkp_edge.label.teachers import Marked, NetworkTeacher, Teacher

__all__ = ["Chip", "Labelled", "Labelling", "Marked", "NetworkTeacher", "Teacher", "cut_chip", "label"]
