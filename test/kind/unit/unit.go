// Package unit starts programs, knows when they are ready, and starts them again when
// they end: the part of an init system that a node needs.
package unit

// Unit is a program that runs as long as the node does.
type Unit struct {
	Name string // of the program, found in PATH, and of its log
	Args []string
	// Notifies says that the program tells when it is ready, by sd_notify(3). Of one that
	// does not, being started is all that is known.
	Notifies bool
}
