// Package migrations holds the database schema: one NNNNN_name.sql per step, each with a goose Up and Down part.
package migrations

import "embed"

// FS holds every migration of this build, in its root. A file that has been released is never changed again:
// what is wrong with it is put right by a later one.
//
//go:embed *.sql
var FS embed.FS
