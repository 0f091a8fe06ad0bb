"""What runs leave behind: locks, containers, namespaces, processes."""
