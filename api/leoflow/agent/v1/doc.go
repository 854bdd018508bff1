// Package agentv1 is the contract that cores served before ours, which a driver falls back to: its names and numbers are
// not ours to change.
package agentv1
