// Package datadir is the folder in which an installation on one machine keeps everything.
//
// One process at a time uses a folder: it holds a lock that ends with the process, however that ends. What is secret is
// made at the first start, is readable by its owner only, and is complete or absent, also after a crash.
package datadir
