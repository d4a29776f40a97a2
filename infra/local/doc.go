// Package local is the whole of wafleet on one machine: `make run` and `wafleet serve`.
//
// # What runs
//
//	this process      API, workers, one connection host, Redis, and in dev the simulator in WhatsApp's place
//	a child process   Postgres (package devpg), unless DATABASE_URL names another
//	child processes   the connection hosts, where HOSTS asks for more than one (package hostpool)
//
// # What is kept
//
// Everything is below one folder (DATA), which one process at a time holds (package datadir):
//
//	pg/               the database, see package devpg
//	wasim/            the simulator's accounts, phones and messages
//	master.key        wraps the companies' data keys; without it their content is lost
//	admin.key         the installation's admin key, for callers of the API
//	dev.env           where everything is, for shells, scripts and tests (package devenv); in dev only
//	wafleet.pid       the process
//	hosts/<id>.pid    a host that is a process of its own
//
// # Start and end
//
// Start goes through a list of steps and puts the end of each on a stack; a step that fails unwinds the stack, so
// nothing stays half-started. What fails most often comes first: the folder, the ports. Ready means that the API answers
// its health check with 200. Stop unwinds the same stack from the top: no new requests, hosts drain, workers finish,
// Postgres writes everything down.
package local
