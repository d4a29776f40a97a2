// Package parts is what the programs that load the system are themselves, when the rig starts them with the name of a
// part as their only argument: the API with its workers, and a Redis for machines without one.
package parts
