"""The reader's side of a stream: connection, transports, `watch` and `status`."""
