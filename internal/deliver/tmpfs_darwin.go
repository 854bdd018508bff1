package deliver

// Tmpfs is for Linux alone: elsewhere a Deliverer has a Folder.
type Tmpfs struct{ Place }
