// Package rig runs the system that is measured, each part as a process of its own:
//
//	postgres   package devpg, fsync on, in a temporary folder
//	redis      redis-server if the machine has one, else part "redis" of the program that runs the rig
//	wasim      the simulator in WhatsApp's place, keeping everything in memory
//	api        part "api" of that program: API and workers, as `wafleet serve` puts them together
//	connhost   the connection hosts, which can be killed, paused, drained and started anew
//
// Stop ends them all and removes the folder. They also end when this process dies.
package rig
