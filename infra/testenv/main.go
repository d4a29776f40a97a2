// Command testenv runs a command, usually `go test`, with the real servers that the tests need:
//
//	testenv -postgres -redis -sqs -dynamodb -npm dir -- go test ./...
//
// Each flag asks for one server. Its URL is handed to the command in TEST_DATABASE_URL, TEST_REDIS_URL, TEST_SQS_URL or
// TEST_DYNAMODB_URL; where that variable is set already, that server is used and none is started. What cannot be had is
// said in one line, and the tests that need it skip themselves; with REQUIRE_ALL=1 it is an error. SIGINT and SIGTERM go to
// the command, and when that has ended everything is stopped. The exit code is the command's, 1 if it was not run, 2 for
// wrong usage.
package main

import (
	"context"
	"os"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], environment{
		get: os.Getenv, all: os.Environ(), stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
	}))
}
