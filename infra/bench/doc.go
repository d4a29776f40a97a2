// Command bench measures wafleet under load, and unmodified Baileys beside it, against the same simulator:
//
//	make bench SESSIONS=200
//	go run ./infra/bench -sessions 1000 -out infra/bench/results
//
// It pairs that many sessions through the API, starts the connection host anew to measure logins and the memory of idle
// sessions, then sends at a constant rate and as fast as it goes (package load says how), and ends with Baileys
// (baileys/README.md). Every part is a process of its own (package rig). Progress goes to standard error; standard
// output gets a table in Markdown and, as its last line, everything as JSON. The same is written to the folder of -out.
//
// The exit code is 0 also if targets are missed, which the table says; 1 if something failed or a message was lost that
// had been accepted; 2 for wrong usage.
package main
