// Package e2e drives the real thing from outside: it starts `make run` as a process, talks to it as a shell or a customer
// would, kills it, and starts it again. `make e2e` runs it; the build tag e2e keeps it out of `make test`.
//
// A test starts an Installation of its own, on free ports and in a folder of its own, and needs nothing but what `make
// run` needs, and curl.
package e2e
