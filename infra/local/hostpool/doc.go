// Package hostpool runs connection hosts as processes of their own and keeps their number.
//
// A host that ends without having been asked to is started again under a new id, because an id belongs to one start of
// one process. Before that the pool reports the dead host, so that its shards can be given free: the pool has waited for
// the process, so no one can still be writing under its leases. A host that keeps dying is started at growing intervals.
//
// For every host that runs, the pool's folder has a file "<host id>.pid" with the process id.
package hostpool
