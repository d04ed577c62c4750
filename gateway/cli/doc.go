// Package cli is graft's commands, its configuration, and the wiring: the only
// package that imports everything. What the others declare as interfaces is filled
// in here (adapters.go), and nowhere else.
package cli
