//! What the outer tests share: namespaces, the server as a process, and its clients.
