// Package cachedir keeps what was fetched from elsewhere, so that it is fetched once for each user and not once for each
// checkout or run.
package cachedir
