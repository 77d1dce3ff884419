"""Training of the finder: the network that proposes crops of faces in a whole frame."""
