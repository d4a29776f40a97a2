// Package devenv is dev.env, the file by which shells, scripts and tests find a running installation.
//
// A shell that sourced the file must be able to start the installation again. What the file says about servers that the
// installation started itself (its own Postgres, its own simulator) therefore must not come back as a setting of
// somebody's own: Own tells such variables apart. What the environment had asked for itself is marked as given in the
// file, because there the opposite holds: it is to be used again.
package devenv
