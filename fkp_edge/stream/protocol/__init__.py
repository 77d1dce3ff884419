"""Protocol version 1: messages, datagrams, lines and addresses. Opens no socket."""
