// Package rig runs the system that is measured, each part as a process of its own:
//
//	postgres   package devpg, fsync on, in a temporary folder
//	redis      redis-server if the machine has one, else `bench redis`
//	wasim      the simulator in WhatsApp's place, keeping everything in memory
//	api        `bench api`: API and workers, as `wafleet serve` puts them together
//	connhost   the connection host, which can be started anew
//
// Stop ends them all and removes the folder. They also end when this process dies.
package rig
