// Package pgtest gives every test a real, migrated Postgres database of its own.
//
// The server is the one of TEST_DATABASE_URL, which `make test` starts and sets; DATABASE_URL is never touched, so that
// no test can reach data that somebody keeps. The role in it must be allowed to create databases.
//
// The migrations run once per server and content: into a template database whose name carries a hash of them. A test's
// database is a copy of that template, which takes some 30 ms, and is dropped when the test ends. Test binaries of
// several packages run at the same time; an advisory lock lets one of them build the template while the others wait.
// The template is built under another name and renamed when it is complete, so a killed builder leaves no half of one.
package pgtest
