// Package debpkg takes programs out of Debian packages without installing them.
//
// Installing redis-server or postgresql starts a system service and, for the latter, creates a cluster. Unpacking the
// same packages into a folder touches nothing outside of it and needs no root. What is unpacked is the package and those
// of its dependencies that the machine lacks, as apt itself works them out.
package debpkg
