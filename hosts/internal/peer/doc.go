// Package peer notices the death of other hosts' processes, seconds before their leases run out.
//
// Every host listens on an address that it publishes with its sign of life, and says its id to whoever connects. Every
// other host keeps one connection to it, over which nothing more is ever said. When the process ends, however it ends,
// its kernel closes the connection, and the others know at once.
//
// What counts as death is narrow, because a host that is taken for dead loses its shards: the connection was closed by
// the other side, and a second attempt right after it is refused, closed as well, or answered by a process with another
// id. Everything else (no route, no answer, a network that is cut, a process that stands still) says nothing about the
// process, and is left to the leases. A wrong guess is annoying but harmless: the fences of the leases do not depend on it.
package peer
