"""The device's side of a stream: servers, access control, and all the publishers of one run."""
